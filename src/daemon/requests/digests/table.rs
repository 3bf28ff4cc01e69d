//! The shared cards that this process knows, and the recent posts of each conversation.
//!
//! Architecture Invariant: the time is a parameter, and nothing is drawn or called.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::daemon::requests::digests::digest::{Digest, KnownLine, shown};
use crate::daemon::requests::digests::posts::RecentPosts;
use crate::domain::card::DigestLine;
use crate::domain::lifecycle::Shown;
use crate::domain::request::RequestId;

/// The number of requests on one card that are learned from records, which other programs can write.
const MOST_LEARNED_LINES: usize = 100;

/// The number of shared cards that are known. Further ones replace those that have not changed for longest, which are learned
/// again when they change.
const MOST_DIGESTS: usize = 1_000;

/// The place of a card: its conversation and the ID of its message.
pub(super) type CardPlace = (String, String);

/// A key of this process for a shared card, which exists before the card has an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DigestId(u64);

/// The other name of a card: its recipient, and the ID of its message.
type RecipientKey = (String, String);

/// What this process knows of shared cards and recent posts.
#[derive(Debug, Default)]
pub(super) struct DigestTable {
    pub(super) posts: HashMap<String, RecentPosts>,
    pub(super) digests: HashMap<DigestId, Digest>,
    pub(super) by_card: HashMap<CardPlace, DigestId>,
    /// Records may have different conversation IDs for one card, because a chat has one of Graph and one of the connector.
    by_recipient: HashMap<RecipientKey, DigestId>,
    pub(super) by_request: HashMap<RequestId, Vec<DigestId>>,
    /// The number of cards that were ever known, and of deliveries that waited for one.
    count: u64,
}

impl DigestTable {
    /// Adds a card.
    pub(super) fn insert(&mut self, digest: Digest) -> DigestId {
        if self.is_full() {
            let unused = self.digests.iter().filter(|(_, digest)| digest.is_unused());
            let oldest = unused.min_by_key(|(_, digest)| digest.changed).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.forget(oldest);
            }
        }
        let id = DigestId(self.next_number());
        self.digests.insert(id, digest);
        id
    }

    /// Returns whether another card replaces a known one.
    pub(super) fn is_full(&self) -> bool {
        self.digests.len() >= MOST_DIGESTS
    }

    /// Returns a number that no card or delivery has.
    pub(super) fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Returns the card at a place, or that with this message of the recipient.
    pub(super) fn find(&self, place: &CardPlace, recipient: &str) -> Option<DigestId> {
        let by_recipient = || self.by_recipient.get(&recipient_key(place, recipient));
        self.by_card.get(place).or_else(by_recipient).copied()
    }

    /// Returns the card at a place, and adds it if it is unknown.
    pub(super) fn at(&mut self, place: CardPlace, recipient: &str, now: Instant) -> DigestId {
        let digest = self.find(&place, recipient).unwrap_or_else(|| {
            let (conversation, activity) = place.clone();
            self.insert(Digest::new(conversation, Some(activity), recipient.to_owned(), now))
        });
        self.link(digest, place, recipient, now);
        digest
    }

    /// Records that a card is at a place. Cards that turn out to be the same become one.
    pub(super) fn link(&mut self, digest: DigestId, place: CardPlace, recipient: &str, now: Instant) {
        let key = recipient_key(&place, recipient);
        let known = [
            self.by_card.insert(place, digest),
            self.by_recipient.insert(key, digest),
        ];
        for other in known.into_iter().flatten() {
            if other != digest && self.digests.get(&other).is_some_and(Digest::is_unused) {
                self.merge(other, digest, now);
            }
        }
    }

    /// Moves everything of a card that no delivery uses to another one.
    fn merge(&mut self, from: DigestId, into: DigestId, now: Instant) {
        let Some(merged) = self.digests.remove(&from) else {
            return;
        };
        let ids = self.by_card.values_mut().chain(self.by_recipient.values_mut());
        ids.filter(|id| **id == from).for_each(|id| *id = into);
        for line in merged.lines {
            self.unlink(from, &line.line.id);
            let known = self.digests.get_mut(&into);
            if known.is_some_and(|digest| digest.line(&line.line.id).is_some()) {
                self.put(into, line.line, now);
            } else {
                self.add(into, line.line, line.recorded, now);
            }
        }
    }

    /// Forgets a card; its requests are learned again when they change.
    pub(super) fn forget(&mut self, digest: DigestId) {
        let Some(forgotten) = self.digests.remove(&digest) else {
            return;
        };
        self.by_card.retain(|_, known| *known != digest);
        self.by_recipient.retain(|_, known| *known != digest);
        for line in forgotten.lines {
            self.unlink(digest, &line.line.id);
        }
    }

    fn unlink(&mut self, digest: DigestId, request: &RequestId) {
        if let Some(on) = self.by_request.get_mut(request) {
            on.retain(|other| *other != digest);
            if on.is_empty() {
                self.by_request.remove(request);
            }
        }
    }

    /// Adds or replaces the line of a request, unless the known one is a later state.
    pub(super) fn put(&mut self, digest: DigestId, mut line: DigestLine, now: Instant) {
        let Some(known) = self.digests.get_mut(&digest) else {
            return;
        };
        let Some(before) = known.line(&line.id) else {
            self.add(digest, line, None, now);
            return;
        };
        line.complete_with(&before.line);
        let is_completed = before.line.complete_with(&line);
        let is_newer = before.line != line && !before.shown().is_ahead_of(shown(&line));
        if is_newer {
            before.line = line;
        }
        if is_newer || is_completed {
            known.change(now);
        }
    }

    /// Applies what a record says of a request on a card. `recorded` is the state in the record, and `is_own` means that this
    /// replica wrote it last. Returns whether the card must be drawn again now.
    pub(super) fn learn(
        &mut self,
        digest: DigestId,
        line: DigestLine,
        recorded: Shown,
        is_own: bool,
        now: Instant,
    ) -> bool {
        let Some(known) = self.digests.get_mut(&digest) else {
            return false;
        };
        let newest = shown(&line);
        let Some(before) = known.line(&line.id) else {
            self.add(digest, line, Some(recorded), now);
            return self.digests.get(&digest).is_some_and(Digest::is_behind);
        };
        let earlier = before.recorded.replace(recorded);
        let is_completed = before.line.complete_with(&line);
        let is_newer = newest.is_ahead_of(before.shown());
        if is_newer {
            before.apply(newest);
        }
        if is_newer || is_completed {
            known.change(now);
            return known.is_behind();
        }
        if is_own || earlier == Some(recorded) {
            return false;
        }
        // Another replica has drawn the card, perhaps without something that this one knows. Requests join the card here only,
        // and a state that is known here may not be drawn yet; otherwise the next listing is soon enough.
        let is_urgent = known.accepts || known.is_behind();
        known.change(now);
        is_urgent && known.is_behind()
    }

    fn add(&mut self, digest: DigestId, line: DigestLine, recorded: Option<Shown>, now: Instant) {
        if let Some(known) = self.digests.get_mut(&digest)
            && known.lines.len() < MOST_LEARNED_LINES
        {
            self.by_request.entry(line.id.clone()).or_default().push(digest);
            known.lines.push(KnownLine { line, recorded });
            known.change(now);
        }
    }

    /// Applies a newer state of a request to the cards that it is on, unless the known one is a later state. A line that was made
    /// of its record gets what the record does not have.
    pub(super) fn advance(&mut self, observed: &DigestLine, now: Instant) {
        let shown = shown(observed);
        for digest in self.by_request.get(&observed.id).into_iter().flatten() {
            if let Some(known) = self.digests.get_mut(digest)
                && let Some(line) = known.line(&observed.id)
            {
                let is_completed = line.line.complete_with(observed);
                let is_newer = line.shown() != shown && !line.shown().is_ahead_of(shown);
                if is_newer {
                    line.apply(shown);
                }
                if is_newer || is_completed {
                    known.change(now);
                }
            }
        }
    }

    /// Removes a request from a card, and a card that was never posted with its last request.
    pub(super) fn remove(&mut self, digest: DigestId, request: &RequestId, now: Instant) {
        let Some(known) = self.digests.get_mut(&digest) else {
            return;
        };
        let before = known.lines.len();
        known.lines.retain(|line| line.line.id != *request);
        if known.lines.len() == before {
            return;
        }
        known.change(now);
        let (begun, may_exist) = (known.begun, known.may_exist);
        let is_over = known.lines.is_empty() && !known.is_posted();
        let conversation = known.conversation.clone();
        self.unlink(digest, request);
        if is_over {
            self.forget(digest);
            if let Some(posts) = self.posts.get_mut(&conversation).filter(|_| !may_exist) {
                posts.release(begun);
            }
        }
    }

    /// Forgets cards that do not change any more, and conversations without a recent post.
    pub(super) fn tidy(&mut self, now: Instant, within: Duration) {
        let over = self.digests.iter().filter(|(_, digest)| digest.is_over(now));
        let over: Vec<_> = over.map(|(id, _)| *id).collect();
        for digest in over {
            self.forget(digest);
        }
        self.posts.retain(|_, posts| posts.recent(now, within) > 0);
    }
}

fn recipient_key((_, activity): &CardPlace, recipient: &str) -> RecipientKey {
    (recipient.to_ascii_lowercase(), activity.clone())
}
