//! The cards that several requests of one conversation share.
//!
//! - `posts.rs` counts the posts of a conversation; above a number, further requests share a card.
//! - `digest.rs` is one shared card: its lines, what was drawn of it, and which deliveries wait for it. `table.rs` holds all of them.
//! - `ticket.rs` is a delivery that waits for a card, and `delivery.rs` makes its call.
//! - `records.rs` learns from events and records which requests are on the cards, and `reading.rs` reads all records for a card of
//!   another process.
//! - `catching_up.rs` draws cards that are behind although no delivery will draw them.
//!
//! Each replica counts its own posts and begins its own shared cards. It learns the requests on other shared cards from the
//! records, because any replica may have to update any card.
//!
//! Architecture Invariant: a shared card belongs to no request, and what it shows is in no record. It never decides whether a
//! request is announced: it delivers, and the lane of the request records.

mod catching_up;
mod delivery;
mod digest;
mod posts;
mod reading;
mod records;
mod table;
#[cfg(test)]
mod tests;
mod ticket;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(in crate::daemon) use self::catching_up::keep_current;
use crate::daemon::requests::digests::digest::Digest;
use crate::daemon::requests::digests::posts::Slot;
use crate::daemon::requests::digests::table::{CardPlace, DigestId, DigestTable};
use crate::daemon::requests::digests::ticket::Ticket;
use crate::daemon::requests::lane::LaneTable;
use crate::domain::card::{CardCluster, Content, DigestLine, Reader, View};
use crate::domain::request::ResourceNames;
use crate::msteams::Urgency;

/// The shared cards, and the recent posts of each conversation.
#[derive(Debug)]
pub(in crate::daemon) struct Digests {
    cluster: CardCluster,
    /// How long the posts of a conversation count.
    within: Duration,
    table: Mutex<DigestTable>,
    /// The newest states of all requests. Never locked while `table` is locked.
    lanes: LaneTable,
    /// Held while all records are read; contains when that failed, if it has not succeeded since.
    reading: tokio::sync::Mutex<Option<Instant>>,
    /// Notified when a card is behind, and no delivery will draw it.
    behind: Notify,
}

/// How a request reaches a conversation.
#[derive(Debug)]
enum Admitted<'a> {
    /// With its own card.
    Alone(Slot<'a>),
    /// On a shared card.
    Shared(Ticket<'a>),
}

impl Digests {
    /// Creates the state without any card. A post counts for `within`.
    pub(in crate::daemon) fn new(cluster: CardCluster, within: Duration, lanes: LaneTable) -> Self {
        Self {
            cluster,
            within,
            table: Mutex::default(),
            lanes,
            reading: tokio::sync::Mutex::default(),
            behind: Notify::new(),
        }
    }

    /// Decides how a request reaches a conversation that gets up to `above` cards, and counts the card.
    fn admit(
        &self,
        conversation: &str,
        recipient: &str,
        above: u32,
        line: DigestLine,
        urgency: Urgency,
    ) -> Admitted<'_> {
        let (now, most, mut table) = (Instant::now(), most(above), self.lock());
        let posts = table.posts.entry(conversation.to_owned()).or_default();
        if posts.recent(now, self.within) < most {
            posts.count(now, most);
            return Admitted::Alone(Slot {
                digests: self,
                conversation: conversation.to_owned(),
                at: now,
                kept: false,
            });
        }
        let open = posts.open.filter(|open| {
            let digest = table.digests.get(open);
            digest.is_some_and(|digest| digest.takes(&line.id, now, self.within))
        });
        let digest = open.unwrap_or_else(|| {
            let id = table.insert(Digest::begin(conversation.to_owned(), recipient.to_owned(), now));
            let posts = table.posts.entry(conversation.to_owned()).or_default();
            posts.count(now, most);
            posts.open = Some(id);
            id
        });
        table.put(digest, line, now);
        Admitted::Shared(self.ticket(&mut table, digest, urgency))
    }

    /// Counts a card that replaces a deleted one.
    pub(super) fn count(&self, conversation: &str, above: u32) {
        let mut table = self.lock();
        let posts = table.posts.entry(conversation.to_owned()).or_default();
        posts.count(Instant::now(), most(above));
    }

    /// Returns whether every request on a card is known.
    fn is_complete(&self, digest: DigestId) -> bool {
        let table = self.lock();
        let digest = table.digests.get(&digest);
        digest.is_none_or(|digest| digest.is_complete)
    }

    /// Changes the line of a request on the card of a recipient, and returns a ticket for the update of the card.
    fn change(&self, place: CardPlace, recipient: &str, line: DigestLine, urgency: Urgency) -> Ticket<'_> {
        let (now, mut table) = (Instant::now(), self.lock());
        let digest = table.at(place, recipient, now);
        table.put(digest, line, now);
        self.ticket(&mut table, digest, urgency)
    }

    /// Returns the cards that are behind although no delivery will draw them.
    fn all_behind(&self) -> Vec<DigestId> {
        let table = self.lock();
        let behind = table.digests.iter();
        let behind = behind.filter(|(_, digest)| digest.is_behind() && !digest.is_given_up);
        behind.map(|(id, _)| *id).collect()
    }

    /// Returns a ticket for a card that is behind, unless a delivery waits by now that will draw it.
    fn catch_up(&self, digest: DigestId) -> Option<Ticket<'_>> {
        let mut table = self.lock();
        let is_behind = table.digests.get(&digest).is_some_and(Digest::is_behind);
        is_behind.then(|| self.ticket(&mut table, digest, Urgency::Review))
    }

    /// Forgets cards that do not change any more, and conversations without a recent post.
    pub(super) fn tidy(&self) {
        self.lock().tidy(Instant::now(), self.within);
    }

    /// Makes the cards due that are behind, those included that were given up.
    pub(super) fn retry_behind(&self) {
        for digest in self.lock().digests.values_mut() {
            digest.is_given_up = false;
        }
        self.behind.notify_one();
    }

    /// Returns the line of a request, or of what is recorded of it.
    fn line(&self, content: &Content) -> DigestLine {
        self.drawn(|view| DigestLine::of(view, content))
    }

    /// Draws for any reader of a conversation.
    fn drawn<T>(&self, draw: impl FnOnce(View<'_>) -> T) -> T {
        draw(View {
            cluster: &self.cluster,
            names: &ResourceNames::default(),
            reader: &Reader::default(),
            now: Timestamp::UNIX_EPOCH,
            reviews: None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, DigestTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn most(above: u32) -> usize {
    usize::try_from(above).unwrap_or(usize::MAX)
}
