//! The message that reminds recipients of a pending request.

use std::time::Duration;

use crate::domain::card::drawing::Drawing;
use crate::domain::card::elements::{heading, line, shown_id};
use crate::domain::card::message::wording_of;
use crate::domain::card::schema::Action;
use crate::domain::card::{Card, Message, View, time};
use crate::domain::request::AccessRequest;

/// Why recipients are reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReminderKind {
    /// The request was announced this long ago.
    StillPending { since: Duration },
    /// The request expires soon.
    ExpiresSoon,
}

/// Draws a reminder. `card` is a link to the message with the card, where there is one.
pub fn reminder(view: View<'_>, request: &AccessRequest, kind: ReminderKind, card: Option<&str>) -> Message {
    let wording = wording_of(view);
    let user = wording.name(&request.user);
    let summary = format!("Reminder: {user} requests {}", wording.subject(request));
    Message::fitting(summary, |detail| {
        Drawing::of(view, request, detail).reminder(request, kind, card)
    })
}

impl Drawing<'_> {
    fn reminder(&self, request: &AccessRequest, kind: ReminderKind, card: Option<&str>) -> Card {
        let (user, subject) = (self.wording.name(&request.user), self.wording.subject(request));
        let reviews = match request.reviews.len() {
            0 => "No reviews yet.".to_owned(),
            1 => "1 review so far.".to_owned(),
            more => format!("{more} reviews so far."),
        };
        let mut body = vec![
            heading(format!("⏰ Reminder: {user} requests {subject}")).into(),
            line(format!("{} {reviews}", self.urgency(request, kind))),
        ];
        body.extend(self.foot(Vec::new()));
        let card = card.map(|url| Action::OpenUrl {
            title: "Show the card",
            url: url.to_owned(),
        });
        let id = shown_id(self.id);
        let fallback = format!("Reminder: {user} requests {subject}. Review the Access Request {id} in Teleport.");
        Card::new(body, self.link().into_iter().chain(card).collect(), fallback)
    }

    /// Returns how long the request has been pending, and how long it will be.
    fn urgency(&self, request: &AccessRequest, kind: ReminderKind) -> String {
        match kind {
            ReminderKind::StillPending { since } => {
                let since = time::length_of(since);
                match self.review_by(request) {
                    end if end.is_empty() => format!("Pending for {since}."),
                    end => format!("Pending for {since}. Review by {end}."),
                }
            }
            ReminderKind::ExpiresSoon => {
                let left = request.expires.map(|end| end.duration_since(self.view.now));
                match left.filter(|left| left.is_positive()) {
                    Some(left) => format!("Expires in {} without a decision.", time::length(left)),
                    None => "Expires soon without a decision.".to_owned(),
                }
            }
        }
    }
}
