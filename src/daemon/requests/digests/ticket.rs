//! Deliveries that wait for a shared card.
//!
//! A shared card has one update in flight. Its drawing shows every change until then, so a delivery whose change is in it makes no
//! call.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::daemon::courier::{Placed, Undelivered};
use crate::daemon::outages::Services;
use crate::daemon::requests::delivery::outage_of;
use crate::daemon::requests::digests::Digests;
use crate::daemon::requests::digests::digest::{Digest, Failure, WaitingKey};
use crate::daemon::requests::digests::table::{DigestId, DigestTable};
use crate::domain::card::{Message, digest};
use crate::domain::recipients::Address;
use crate::domain::request::RequestId;
use crate::msteams::Urgency;

/// A delivery that waits until a shared card shows its change.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    digests: &'a Digests,
    digest: DigestId,
    key: WaitingKey,
    /// The revision that contains the change.
    change: u64,
    /// If the card is behind at the end, it is drawn again after the next listing or recovery.
    gives_up: bool,
}

/// What is to be done for a ticket.
#[derive(Debug)]
pub(super) enum NextStep {
    /// The card shows the change already.
    Shown(Placed),
    /// The card does not exist, and is not posted.
    Closed,
    Draw(Box<Draft>),
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
    /// Returns a ticket for the changes that a card does not show yet.
    pub(super) fn ticket(&self, table: &mut DigestTable, digest: DigestId, urgency: Urgency) -> Ticket<'_> {
        let (mut change, key) = (0, (urgency, table.next_number()));
        if let Some(digest) = table.digests.get_mut(&digest) {
            change = digest.revision;
            digest.waiting.insert(key, change);
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
            key,
            change,
            gives_up: false,
        }
    }
}

impl Ticket<'_> {
    /// Returns the lock of the card, which its one update in flight holds.
    pub(super) fn in_flight(&self) -> Arc<tokio::sync::Mutex<()>> {
        let table = self.digests.lock();
        let digest = table.digests.get(&self.digest);
        digest.map(|digest| Arc::clone(&digest.in_flight)).unwrap_or_default()
    }

    /// Returns what is to be done by the holder of the lock of the card. `halt` stops the call.
    pub(super) fn begin(&self, halt: &CancellationToken) -> NextStep {
        let mut table = self.digests.lock();
        let Some(known) = table.digests.get_mut(&self.digest) else {
            return NextStep::Closed;
        };
        if let Some(placed) = known.shown(self.change) {
            return NextStep::Shown(placed);
        }
        let address = Address::parse(&known.recipient).ok();
        let call = match (&known.activity, address) {
            (Some(activity), address) => Call::Update(activity.clone(), address),
            (None, Some(address)) if known.accepts => Call::Post(address),
            (None, _) => return NextStep::Closed,
        };
        let most_urgent = known.waiting.keys().next();
        let (urgency, _) = most_urgent.copied().unwrap_or(self.key);
        let halt = halt.child_token();
        known.call = Some((urgency, halt.clone()));
        let mut lines: Vec<_> = known.lines.iter().map(|line| line.line.clone()).collect();
        let (conversation, revision) = (known.conversation.clone(), known.revision);
        // A drawing takes long, and the dispatcher uses the table.
        drop(table);
        // The same order at each replica, and by age: Teleport's IDs begin with the time.
        lines.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        NextStep::Draw(Box::new(Draft {
            conversation,
            call,
            message: self.digests.drawn(|view| digest(view, &lines)),
            urgency,
            halt,
            revision,
        }))
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
                known.waiting.insert(self.key, self.change);
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

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut table = self.digests.lock();
        if let Some(digest) = table.digests.get_mut(&self.digest) {
            digest.waiting.remove(&self.key);
            digest.is_given_up |= self.gives_up;
            // For example, the card shows a request that has left it, or others were relied on.
            if digest.is_behind() && !digest.is_given_up {
                self.digests.behind.notify_one();
            }
        }
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
