//! A card with its summary, small enough for Teams whatever is in it.

use std::io;
use std::sync::Arc;

use serde::Serialize as _;

use crate::domain::card::layout::{draw_record, draw_request};
use crate::domain::card::text::squeezed;
use crate::domain::card::view::Detail;
use crate::domain::card::wording::Wording;
use crate::domain::card::{Card, Remembered, Role, View};
use crate::domain::request::{AccessRequest, Stage};

/// Largest message in bytes of UTF-16, which is how Teams counts. Its documented limit is about 100 KB, and 80 KB is what
/// it recommends; the rest of the message is taken off here.
pub(super) const LARGEST_CARD: usize = 80_000 - 2_000;

/// Characters of a toast; clients cut it anyway.
pub(super) const SUMMARY: usize = 200;

/// A message: the card, and the summary that a notification shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub card: Card,
    pub summary: String,
}

/// What a card is drawn from.
#[derive(Clone, Debug)]
pub enum Content {
    Request(Arc<AccessRequest>),
    /// The request was deleted, and only its record is known.
    Record(Remembered),
}

impl Content {
    /// Draws the card for one reader.
    pub fn draw(&self, view: View<'_>) -> Message {
        match self {
            Self::Request(request) => {
                let subject = wording_of(view).subject(request);
                let summary = summary(view, request.stage, &request.user, &subject);
                Message::fitting(&summary, |detail| draw_request(view, request, detail))
            }
            Self::Record(remembered) => {
                let subject = wording_of(view).role_subject(&remembered.role_names());
                let summary = summary(view, remembered.stage, &remembered.user, &subject);
                Message::fitting(&summary, |detail| draw_record(view, remembered, detail))
            }
        }
    }
}

impl Message {
    /// Draws a message that Teams accepts, whatever is in it.
    pub(super) fn fitting(summary: &str, draw: impl Fn(Detail) -> Card) -> Self {
        let summary = squeezed(summary, SUMMARY);
        let card = fitting(draw);
        Self { card, summary }
    }
}

/// Returns the wording of a notification, which is plain text.
pub(super) fn wording_of(view: View<'_>) -> Wording<'_> {
    Wording {
        cluster: view.cluster,
        names: view.names,
        name: SUMMARY,
        write: squeezed,
    }
}

fn summary(view: View<'_>, stage: Stage, user: &str, subject: &str) -> String {
    let status = match stage {
        Stage::Pending | Stage::Unknown => None,
        Stage::Approved => Some("Approved"),
        Stage::Denied => Some("Denied"),
        Stage::Promoted => Some("Promoted"),
        Stage::Expired => Some("Expired"),
    };
    match (view.reader.role, status) {
        (Role::Reviewer, None) => format!("{user} requests {subject}"),
        (Role::Reviewer, Some(status)) => format!("{status}: {user} requested {subject}"),
        (Role::Requester, None) => format!("Your request for {subject} is pending"),
        (Role::Requester, Some(status)) => format!("{status}: your request for {subject}"),
    }
}

/// Draws with decreasing detail until the card fits. The last step shows one entry of everything, and always fits.
fn fitting(draw: impl Fn(Detail) -> Card) -> Card {
    let mut detail = Detail::FULL;
    let mut card = draw(detail);
    for _ in 0..16 {
        if utf16_bytes(&card) <= LARGEST_CARD {
            break;
        }
        detail = detail.less();
        card = draw(detail);
    }
    card
}

pub(super) fn utf16_bytes(card: &Card) -> usize {
    let mut units = Utf16Units(0);
    card.serialize(&mut serde_json::Serializer::new(&mut units))
        .expect("strings and lists always become JSON");
    units.0 * 2
}

/// Counts the UTF-16 units of the UTF-8 text that is written to it, in any pieces.
struct Utf16Units(usize);

impl io::Write for Utf16Units {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.0 += match byte {
                // A later byte of a character.
                0x80..=0xBF => 0,
                // The first of four bytes: a character outside the basic plane.
                0xF0.. => 2,
                _ => 1,
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
