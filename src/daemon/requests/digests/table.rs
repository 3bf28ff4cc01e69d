//! The shared cards that this process knows, and the recent posts of each conversation.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::daemon::courier::Placed;
use crate::daemon::outages::Services;
use crate::domain::card::DigestLine;
use crate::domain::lifecycle::Shown;
use crate::domain::request::RequestId;
use crate::msteams::Urgency;

/// The number of requests that join one card.
const MOST_LINES: usize = 20;

/// The number of requests on one card that are learned from records, which other programs can write.
const MOST_LEARNED_LINES: usize = 100;

/// The number of shared cards that are known. Further ones replace those that have not changed for longest, which are learned
/// again when they change.
const MOST_DIGESTS: usize = 1_000;

/// The number of times that an update is drawn again because of changes while it is queued, so that it is sent in the end.
const MOST_SUPERSEDED: u32 = 5;

/// How long a shared card without a pending request is known.
const QUIET_LIFE: Duration = Duration::from_hours(1);

/// The place of a card: its conversation and the ID of its message.
pub(super) type Place = (String, String);

/// A key of this process for a shared card, which exists before the card has an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DigestId(u64);

/// The other name of a card: its recipient, and the ID of its message.
type RecipientKey = (String, String);

/// A delivery that waits for a shared card: its urgency and its number.
pub(super) type PlaceInLine = (Urgency, u64);

/// What this process knows of shared cards and recent posts.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) floods: HashMap<String, Flood>,
    pub(super) digests: HashMap<DigestId, Digest>,
    pub(super) by_card: HashMap<Place, DigestId>,
    /// Records may have different conversation IDs for one card, because a chat has one of Graph and one of the connector.
    by_recipient: HashMap<RecipientKey, DigestId>,
    pub(super) by_request: HashMap<RequestId, Vec<DigestId>>,
    /// The number of cards that were ever known, and of deliveries that waited for one.
    count: u64,
}

/// The recent posts of one conversation.
#[derive(Debug, Default)]
pub(super) struct Flood {
    posts: VecDeque<Instant>,
    /// The newest shared card that this process began.
    pub(super) open: Option<DigestId>,
}

/// One shared card.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) conversation: String,
    /// Absent until it is posted.
    pub(super) activity: Option<String>,
    /// One of the recipients that reach the conversation, as records write it.
    pub(super) recipient: String,
    pub(super) lines: Vec<Line>,
    /// Increases with each change that the card must show.
    pub(super) revision: u64,
    /// The revision that this process drew last.
    pub(super) drawn: Option<u64>,
    /// All of its requests are known.
    pub(super) is_complete: bool,
    /// This process began the card, and further requests can join.
    pub(super) accepts: bool,
    /// A post was not confirmed, or was answered without an ID.
    pub(super) may_exist: bool,
    begun: Instant,
    changed: Instant,
    /// Held by the one update in flight.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    /// The deliveries that wait for the card to be drawn, the most urgent one first, with the revisions that contain their
    /// changes.
    pub(super) waiting: BTreeMap<PlaceInLine, u64>,
    /// The update in flight; cancelled while it is queued, to draw it with a newer state or to send it sooner.
    pub(super) call: Option<(Urgency, CancellationToken)>,
    /// The number of updates in a row that were drawn again before they were sent.
    pub(super) superseded: u32,
    /// Why the last call for the card failed.
    pub(super) failure: Option<Failure>,
    /// The last call did not find the message. Microsoft may be behind, so it is gone if it is missing twice.
    pub(super) is_missing: bool,
    /// The card is behind, and is drawn again after the next listing or recovery only, unless one of its requests changes.
    pub(super) is_given_up: bool,
}

/// When a failed call can be repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// The time that Microsoft asked for.
    pub(super) not_before: Option<Instant>,
    /// The service that is out.
    pub(super) outage: Services,
}

/// A request on a shared card.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) line: DigestLine,
    /// What the record of the request says that the card shows.
    recorded: Option<Shown>,
}

impl Table {
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
    pub(super) fn find(&self, place: &Place, recipient: &str) -> Option<DigestId> {
        let by_recipient = || self.by_recipient.get(&recipient_key(place, recipient));
        self.by_card.get(place).or_else(by_recipient).copied()
    }

    /// Returns the card at a place, and adds it if it is unknown.
    pub(super) fn at(&mut self, place: Place, recipient: &str, now: Instant) -> DigestId {
        let digest = self.find(&place, recipient).unwrap_or_else(|| {
            let (conversation, activity) = place.clone();
            self.insert(Digest::new(conversation, Some(activity), recipient.to_owned(), now))
        });
        self.link(digest, place, recipient, now);
        digest
    }

    /// Records that a card is at a place. Cards that turn out to be the same become one.
    pub(super) fn link(&mut self, digest: DigestId, place: Place, recipient: &str, now: Instant) {
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
            known.lines.push(Line { line, recorded });
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
            if let Some(flood) = self.floods.get_mut(&conversation).filter(|_| !may_exist) {
                flood.release(begun);
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
        self.floods.retain(|_, flood| flood.recent(now, within) > 0);
    }
}

impl Digest {
    /// Begins a card that requests can join.
    pub(super) fn begin(conversation: String, recipient: String, now: Instant) -> Self {
        Self {
            is_complete: true,
            accepts: true,
            ..Self::new(conversation, None, recipient, now)
        }
    }

    fn new(conversation: String, activity: Option<String>, recipient: String, now: Instant) -> Self {
        Self {
            conversation,
            activity,
            recipient,
            lines: Vec::new(),
            revision: 0,
            drawn: None,
            is_complete: false,
            accepts: false,
            may_exist: false,
            begun: now,
            changed: now,
            turn: Arc::default(),
            waiting: BTreeMap::new(),
            call: None,
            superseded: 0,
            failure: None,
            is_missing: false,
            is_given_up: false,
        }
    }

    /// Returns whether the card exists.
    pub(super) fn is_posted(&self) -> bool {
        self.activity.is_some()
    }

    /// Returns the place of the card if this process has drawn a revision.
    pub(super) fn shown(&self, revision: u64) -> Option<Placed> {
        let activity = self.activity.as_ref().filter(|_| self.drawn >= Some(revision));
        activity.map(|activity| Placed {
            conversation: self.conversation.clone(),
            activity: activity.clone(),
        })
    }

    /// Returns whether a request can join. Recipients do not notice that, so a card takes requests for a while only.
    pub(super) fn takes(&self, request: &RequestId, now: Instant, within: Duration) -> bool {
        let has_room = self.lines.len() < MOST_LINES || self.lines.iter().any(|line| line.line.id == *request);
        self.accepts && has_room && now - self.begun < within
    }

    fn line(&mut self, request: &RequestId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.line.id == *request)
    }

    fn change(&mut self, now: Instant) {
        self.revision += 1;
        self.changed = now;
        // An update that was queued for seconds would set back what another replica has drawn meanwhile.
        if let Some((_, halt)) = &self.call
            && self.superseded < MOST_SUPERSEDED
        {
            self.superseded += 1;
            halt.cancel();
        }
    }

    /// Returns whether the last drawing by this process is older than what it knows, and no delivery waits that will draw the
    /// card.
    pub(super) fn is_behind(&self) -> bool {
        self.is_older() && self.waiting.values().all(|change| Some(*change) <= self.drawn)
    }

    /// Returns whether the last drawing by this process is older than what it knows.
    pub(super) fn is_older(&self) -> bool {
        self.drawn.is_some_and(|drawn| drawn < self.revision)
    }

    /// Returns whether no delivery uses the card.
    fn is_unused(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns whether the card does not change any more.
    fn is_over(&self, now: Instant) -> bool {
        let is_open = self.lines.iter().any(|line| line.line.stage.is_open());
        !is_open && self.is_unused() && now - self.changed >= QUIET_LIFE
    }
}

impl Line {
    fn shown(&self) -> Shown {
        shown(&self.line)
    }

    fn apply(&mut self, shown: Shown) {
        (self.line.stage, self.line.reviews) = (shown.stage, shown.reviews);
    }
}

fn recipient_key((_, activity): &Place, recipient: &str) -> RecipientKey {
    (recipient.to_ascii_lowercase(), activity.clone())
}

fn shown(line: &DigestLine) -> Shown {
    Shown::new(line.stage, line.reviews)
}

impl Flood {
    /// Counts a post. More than one above `most` makes no difference.
    pub(super) fn count(&mut self, now: Instant, most: usize) {
        self.posts.push_back(now);
        while self.posts.len() > most.saturating_add(1) {
            self.posts.pop_front();
        }
    }

    /// Returns the number of posts that count, and forgets the others.
    pub(super) fn recent(&mut self, now: Instant, within: Duration) -> usize {
        while self.posts.front().is_some_and(|post| now - *post >= within) {
            self.posts.pop_front();
        }
        self.posts.len()
    }

    /// Removes a post that did not happen.
    pub(super) fn release(&mut self, at: Instant) {
        if let Some(place) = self.posts.iter().position(|post| *post == at) {
            self.posts.remove(place);
        }
    }
}
