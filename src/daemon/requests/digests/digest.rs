//! One shared card, as far as this process knows it.

use std::collections::BTreeMap;
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

/// The number of times that an update is drawn again because of changes while it is queued, so that it is sent in the end.
const MOST_SUPERSEDED: u32 = 5;

/// How long a shared card without a pending request is known.
const QUIET_LIFE: Duration = Duration::from_hours(1);

/// A delivery that waits for a shared card: its urgency and its number.
pub(super) type WaitingKey = (Urgency, u64);

/// One shared card.
#[expect(clippy::struct_excessive_bools, reason = "each is a separate fact")]
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) conversation: String,
    /// Absent until it is posted.
    pub(super) activity: Option<String>,
    /// One of the recipients that reach the conversation, as records write it.
    pub(super) recipient: String,
    pub(super) lines: Vec<KnownLine>,
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
    pub(super) begun: Instant,
    pub(super) changed: Instant,
    /// Held by the one update in flight.
    pub(super) in_flight: Arc<tokio::sync::Mutex<()>>,
    /// The deliveries that wait for the card to be drawn, the most urgent one first, with the revisions that contain their
    /// changes.
    pub(super) waiting: BTreeMap<WaitingKey, u64>,
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
pub(super) struct KnownLine {
    pub(super) line: DigestLine,
    /// What the record of the request says that the card shows.
    pub(super) recorded: Option<Shown>,
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

    pub(super) fn new(conversation: String, activity: Option<String>, recipient: String, now: Instant) -> Self {
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
            in_flight: Arc::default(),
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

    pub(super) fn line(&mut self, request: &RequestId) -> Option<&mut KnownLine> {
        self.lines.iter_mut().find(|line| line.line.id == *request)
    }

    pub(super) fn change(&mut self, now: Instant) {
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
    pub(super) fn is_unused(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns whether the card does not change any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let is_open = self.lines.iter().any(|line| line.line.stage.is_open());
        !is_open && self.is_unused() && now - self.changed >= QUIET_LIFE
    }
}

impl KnownLine {
    pub(super) fn shown(&self) -> Shown {
        shown(&self.line)
    }

    pub(super) fn apply(&mut self, shown: Shown) {
        (self.line.stage, self.line.reviews) = (shown.stage, shown.reviews);
    }
}

pub(super) fn shown(line: &DigestLine) -> Shown {
    Shown::new(line.stage, line.reviews)
}
