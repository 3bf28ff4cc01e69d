//! The cards that several requests of one conversation share: when a conversation gets one, and who draws it.
//!
//! Each replica counts its own posts and begins its own shared cards. It learns the requests on other shared cards from the
//! records, because any replica may have to update any card.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::daemon::courier::{Placed, Undelivered};
use crate::daemon::outages::Services;
use crate::daemon::requests::delivery::outage_of;
use crate::daemon::requests::digest_table::{Digest, DigestId, Failure, Place, PlaceInLine, Table};
use crate::daemon::requests::lane::SharedTable;
use crate::domain::card::{CardCluster, Content, DigestLine, Message, Reader, View, digest};
use crate::domain::recipients::Address;
use crate::domain::request::{RequestId, ResourceNames};
use crate::msteams::Urgency;

/// The shared cards, and the recent posts of each conversation.
#[derive(Debug)]
pub(in crate::daemon) struct Digests {
    cluster: CardCluster,
    /// How long the posts of a conversation count.
    within: Duration,
    table: Mutex<Table>,
    /// The newest states of all requests. Never locked while `table` is locked.
    pub(super) lanes: SharedTable,
    /// Held while all records are read; contains when that failed, if it has not succeeded since.
    pub(super) reading: tokio::sync::Mutex<Option<Instant>>,
    /// Notified when a card is behind, and no delivery will draw it.
    pub(super) behind: Notify,
}

/// How a request reaches a conversation.
#[derive(Debug)]
pub(super) enum Admitted<'a> {
    /// With its own card.
    Alone(Slot<'a>),
    /// On a shared card.
    Shared(Ticket<'a>),
}

/// A post that counts from now on, unless the slot is dropped without being kept.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    digests: &'a Digests,
    conversation: String,
    at: Instant,
    kept: bool,
}

/// A delivery that waits until a shared card shows its change.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    digests: &'a Digests,
    digest: DigestId,
    place: PlaceInLine,
    /// The revision that contains the change.
    change: u64,
    /// If the card is behind at the end, it is drawn again after the next listing or recovery.
    gives_up: bool,
}

/// What is to be done for a ticket.
#[derive(Debug)]
pub(super) enum Task {
    /// The card shows the change already.
    Shown(Placed),
    /// The card does not exist, and is not posted.
    Closed,
    Draw(Draft),
}

/// A drawing of a shared card that is to be delivered.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) conversation: String,
    pub(super) call: Call,
    pub(super) message: Message,
    pub(super) urgency: Urgency,
    /// Cancelled to stop the call while it is queued.
    pub(super) halt: CancellationToken,
    revision: u64,
}

/// How a drawing is delivered.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// Posts the card to a recipient.
    Post(Address),
    /// Updates the message with this ID. If the conversation has moved, that of the recipient is used.
    Update(String, Option<Address>),
}

impl Digests {
    /// Creates the state without any card. A post counts for `within`.
    pub(in crate::daemon) fn new(cluster: CardCluster, within: Duration) -> Self {
        Self {
            cluster,
            within,
            table: Mutex::default(),
            lanes: SharedTable::new(),
            reading: tokio::sync::Mutex::default(),
            behind: Notify::new(),
        }
    }

    /// Decides how a request reaches a conversation that gets up to `above` cards, and counts the card.
    pub(super) fn admit(
        &self,
        conversation: &str,
        recipient: &str,
        above: u32,
        line: DigestLine,
        urgency: Urgency,
    ) -> Admitted<'_> {
        let (now, most, mut table) = (Instant::now(), most(above), self.lock());
        let flood = table.floods.entry(conversation.to_owned()).or_default();
        if flood.recent(now, self.within) < most {
            flood.count(now, most);
            return Admitted::Alone(Slot {
                digests: self,
                conversation: conversation.to_owned(),
                at: now,
                kept: false,
            });
        }
        let open = flood.open.filter(|open| {
            let digest = table.digests.get(open);
            digest.is_some_and(|digest| digest.takes(&line.id, now, self.within))
        });
        let digest = open.unwrap_or_else(|| {
            let id = table.insert(Digest::begin(conversation.to_owned(), recipient.to_owned(), now));
            let flood = table.floods.entry(conversation.to_owned()).or_default();
            flood.count(now, most);
            flood.open = Some(id);
            id
        });
        table.put(digest, line, now);
        Admitted::Shared(self.ticket(&mut table, digest, urgency))
    }

    /// Counts a card that replaces a deleted one.
    pub(super) fn count(&self, conversation: &str, above: u32) {
        let mut table = self.lock();
        let flood = table.floods.entry(conversation.to_owned()).or_default();
        flood.count(Instant::now(), most(above));
    }

    /// Returns whether every request on a card is known.
    pub(super) fn is_complete(&self, digest: DigestId) -> bool {
        let table = self.lock();
        let digest = table.digests.get(&digest);
        digest.is_none_or(|digest| digest.is_complete)
    }

    /// Changes the line of a request on the card of a recipient, and returns a ticket for the update of the card.
    pub(super) fn change(&self, place: Place, recipient: &str, line: DigestLine, urgency: Urgency) -> Ticket<'_> {
        let (now, mut table) = (Instant::now(), self.lock());
        let digest = table.at(place, recipient, now);
        table.put(digest, line, now);
        self.ticket(&mut table, digest, urgency)
    }

    /// Returns the cards that are behind although no delivery will draw them.
    pub(super) fn all_behind(&self) -> Vec<DigestId> {
        let table = self.lock();
        let behind = table.digests.iter();
        let behind = behind.filter(|(_, digest)| digest.is_behind() && !digest.is_given_up);
        behind.map(|(id, _)| *id).collect()
    }

    /// Returns a ticket for a card that is behind, unless a delivery waits by now that will draw it.
    pub(super) fn catch_up(&self, digest: DigestId) -> Option<Ticket<'_>> {
        let mut table = self.lock();
        let is_behind = table.digests.get(&digest).is_some_and(Digest::is_behind);
        is_behind.then(|| self.ticket(&mut table, digest, Urgency::Review))
    }

    fn ticket(&self, table: &mut Table, digest: DigestId, urgency: Urgency) -> Ticket<'_> {
        let (mut change, place) = (0, (urgency, table.next_number()));
        if let Some(digest) = table.digests.get_mut(&digest) {
            change = digest.revision;
            digest.waiting.insert(place, change);
            // A less urgent update that is queued makes room for one that shows both changes.
            if let Some((queued, halt)) = &digest.call
                && urgency < *queued
            {
                halt.cancel();
            }
        }
        Ticket {
            digests: self,
            digest,
            place,
            change,
            gives_up: false,
        }
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
    pub(super) fn line(&self, content: &Content) -> DigestLine {
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when a failed call can be repeated.
fn failure(undelivered: &Undelivered, now: Instant) -> Failure {
    let Undelivered::Later(error, asked) = undelivered else {
        return Failure {
            not_before: None,
            outage: Services::NONE,
        };
    };
    Failure {
        not_before: asked.and_then(|asked| now.checked_add(asked)),
        outage: outage_of(error, *asked).map_or(Services::NONE, |error| Services::of(error.endpoint())),
    }
}

fn most(above: u32) -> usize {
    usize::try_from(above).unwrap_or(usize::MAX)
}

impl Ticket<'_> {
    /// Returns the lock of the card, which its one update in flight holds.
    pub(super) fn turn(&self) -> Arc<tokio::sync::Mutex<()>> {
        let table = self.digests.lock();
        let digest = table.digests.get(&self.digest);
        digest.map(|digest| Arc::clone(&digest.turn)).unwrap_or_default()
    }

    /// Returns what is to be done by the holder of the turn. `halt` stops the call.
    pub(super) fn begin(&self, halt: &CancellationToken) -> Task {
        let mut table = self.digests.lock();
        let Some(known) = table.digests.get_mut(&self.digest) else {
            return Task::Closed;
        };
        if let Some(placed) = known.shown(self.change) {
            return Task::Shown(placed);
        }
        let address = Address::parse(&known.recipient).ok();
        let call = match (&known.activity, address) {
            (Some(activity), address) => Call::Update(activity.clone(), address),
            (None, Some(address)) if known.accepts => Call::Post(address),
            (None, _) => return Task::Closed,
        };
        let most_urgent = known.waiting.keys().next();
        let (urgency, _) = most_urgent.copied().unwrap_or(self.place);
        let halt = halt.child_token();
        known.call = Some((urgency, halt.clone()));
        let mut lines: Vec<_> = known.lines.iter().map(|line| line.line.clone()).collect();
        let (conversation, revision) = (known.conversation.clone(), known.revision);
        // A drawing takes long, and the dispatcher uses the table.
        drop(table);
        // The same order at each replica, and by age: Teleport's IDs begin with the time.
        lines.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        Task::Draw(Draft {
            conversation,
            call,
            message: self.digests.drawn(|view| digest(view, &lines)),
            urgency,
            halt,
            revision,
        })
    }

    /// Records the result of a drawing. Returns whether the card is behind and no other delivery will draw it; then this ticket
    /// must.
    pub(super) fn end(&mut self, draft: &Draft, result: &Result<Placed, Undelivered>) -> bool {
        let now = Instant::now();
        let mut table = self.digests.lock();
        let Some(known) = table.digests.get_mut(&self.digest) else {
            return false;
        };
        known.call = None;
        let undelivered = match result {
            Ok(placed) => {
                known.drawn = Some(draft.revision);
                known.superseded = 0;
                known.activity = Some(placed.activity.clone());
                known.conversation.clone_from(&placed.conversation);
                (known.failure, known.is_missing, known.is_given_up) = (None, false, false);
                let recipient = known.recipient.clone();
                let place = (placed.conversation.clone(), placed.activity.clone());
                table.link(self.digest, place, &recipient, now);
                let Some(known) = table.digests.get_mut(&self.digest).filter(|known| known.is_behind()) else {
                    return false;
                };
                self.change = known.revision;
                known.waiting.insert(self.place, self.change);
                return true;
            }
            // It proves nothing.
            Err(Undelivered::NotBegun) => return false,
            Err(undelivered) => undelivered,
        };
        known.failure = Some(failure(undelivered, now));
        let is_post = matches!(draft.call, Call::Post(_));
        if let Undelivered::Gone(..) = undelivered {
            known.accepts = false;
            if std::mem::replace(&mut known.is_missing, true) {
                known.drawn = None;
            }
        } else if is_post && undelivered.may_have_posted() {
            // It cannot be updated.
            (known.accepts, known.may_exist) = (false, true);
        }
        false
    }

    pub(super) fn digest(&self) -> DigestId {
        self.digest
    }

    /// Returns why the last call for the card failed.
    pub(super) fn failure(&self) -> Option<Failure> {
        let table = self.digests.lock();
        table.digests.get(&self.digest).and_then(|digest| digest.failure)
    }

    /// Returns whether this process has drawn the card, and knows more by now.
    pub(super) fn is_behind(&self) -> bool {
        let table = self.digests.lock();
        table.digests.get(&self.digest).is_some_and(Digest::is_older)
    }

    /// Leaves a card that is behind to the next listing or recovery.
    pub(super) fn give_up(mut self) {
        self.gives_up = true;
    }

    /// Removes a request from the card.
    pub(super) fn leave(&self, request: &RequestId) {
        let now = Instant::now();
        self.digests.lock().remove(self.digest, request, now);
    }
}

impl Slot<'_> {
    /// Keeps counting the post, because the card exists or may exist.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if !self.kept
            && let Some(flood) = self.digests.lock().floods.get_mut(&self.conversation)
        {
            flood.release(self.at);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut table = self.digests.lock();
        if let Some(digest) = table.digests.get_mut(&self.digest) {
            digest.waiting.remove(&self.place);
            digest.is_given_up |= self.gives_up;
            // For example, the card shows a request that has left it, or others were relied on.
            if digest.is_behind() && !digest.is_given_up {
                self.digests.behind.notify_one();
            }
        }
    }
}

#[cfg(test)]
#[path = "digests_tests.rs"]
mod tests;
