//! The state that a lane keeps between two runs.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::clock;
use crate::config::Limits;
use crate::daemon::outages::Services;
use crate::daemon::requests::delegating::Delegation;
use crate::daemon::requests::delivery::Deferral;
use crate::daemon::requests::escalating::Escalation;
use crate::daemon::requests::requester::Requester;
use crate::daemon::requests::waiting::Waiting;
use crate::domain::lifecycle::{OthersClaim, Recipient, Record, RecordState, Shown, Step, Target, Why};
use crate::domain::recipients::{GroupMembers, SuggestedReviewers};
use crate::domain::request::AccessRequest;

/// The state of one lane. It ends with the lane and with the process. Only speed depends on it, and the last update of
/// a card whose record expired before its request.
#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) stored: RecordState,
    /// The record was read once, or its creation was attempted.
    pub(super) looked: bool,
    /// Targets whose conversation has a card under another address, or belongs to the requester.
    pub(super) aliases: HashSet<Target>,
    /// The addresses of suggested reviewers that are Teleport user names, and since when they are known.
    pub(super) suggested: SuggestedReviewers,
    suggested_since: Instant,
    /// The address of the requester, if requesters are notified.
    pub(super) requester: Requester,
    /// The members of the groups that are recipients.
    pub(super) groups: GroupMembers,
    /// The members of a group among the recipients are not known yet.
    pub(super) lacks_group: bool,
    /// The further recipients, once the request is escalated.
    pub(super) escalation: Option<Box<Escalation>>,
    /// The delegates of recipients who are out of office, once they were looked up.
    pub(super) delegation: Option<Box<Delegation>>,
    /// The pauses before a look-up of a person is retried, while one fails.
    look_up_pauses: Option<Box<Backoff>>,
    /// When the request was first seen, and its age then, if announcements are held.
    first_seen: Option<(Instant, Duration)>,
    /// Failed deliveries that are retried, by recipient.
    pub(super) tries: HashMap<Recipient, Try>,
    pub(super) backoff: Backoff,
    /// Runs in a row that could not start because of Teleport.
    pub(super) failures: u32,
    /// The mark of another replica, and when it was first seen.
    pub(super) foreign: OthersClaim<Instant>,
    /// When the changes that the current run delivers were received.
    pub(super) waiting: Option<Waiting>,
    /// The reason for having nothing to do that was logged last.
    nothing: Option<Why>,
}

/// A failed delivery: when it is due again, and why it failed.
#[derive(Debug)]
pub(super) struct Try {
    due: Instant,
    /// The state that the card would have shown.
    shown: Shown,
    /// The number of failures in a row.
    times: u32,
    /// Microsoft requested the pause.
    asked: bool,
    pauses: Backoff,
    /// The service that is down; its recovery makes the delivery due.
    outage: Services,
    /// The message of the card was missing.
    missing: bool,
}

/// When a failed delivery is due again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) pause: Duration,
    /// Whether it is the first failure in a row.
    pub(super) first: bool,
    /// Whether the last update of the card has failed so often that it is given up.
    pub(super) hopeless: bool,
}

/// How long the addresses of suggested reviewers are used.
const SUGGESTED_LIFE: Duration = Duration::from_mins(10);

/// Attempts of the last update of a card, if the failure concerns only this card.
const MOST_LAST_TRIES: u32 = 20;

impl Try {
    /// Returns when a delivery of a card that shows `wanted` is due: news do not wait for the retry of an older state,
    /// unless Microsoft requested the pause.
    pub(super) fn due(&self, wanted: Shown, now: Instant) -> Instant {
        if self.shown != wanted && !self.asked {
            return now;
        }
        self.due
    }
}

impl LaneState {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            stored: RecordState::Unknown,
            looked: false,
            aliases: HashSet::new(),
            suggested: SuggestedReviewers::default(),
            suggested_since: Instant::now(),
            requester: Requester::Unknown,
            groups: GroupMembers::default(),
            lacks_group: false,
            escalation: None,
            delegation: None,
            look_up_pauses: None,
            first_seen: None,
            tries: HashMap::new(),
            backoff: Backoff::new(limits.teleport_first_pause, limits.again_longest_pause),
            failures: 0,
            foreign: OthersClaim::none(),
            waiting: None,
            nothing: None,
        }
    }

    /// Returns whether this reason for having nothing to do is new, and remembers it.
    pub(super) fn is_news(&mut self, why: Why) -> bool {
        self.nothing.replace(why) != Some(why)
    }

    /// Forgets the addresses of suggested reviewers after a while, because users and permissions change.
    pub(super) fn refresh_suggested(&mut self) {
        if self.suggested_since.elapsed() >= SUGGESTED_LIFE {
            self.suggested = SuggestedReviewers::default();
            self.suggested_since = Instant::now();
        }
    }

    /// Returns how long the announcement of a request is still held. The age of the request counts, by the clocks of both machines,
    /// but never delays it longer than `grace` from when it was first seen. A request that would expire before is not held.
    pub(super) fn held_for(&mut self, request: &AccessRequest, grace: Duration) -> Duration {
        let age = || request.created.map(|created| clock::now().duration_since(created));
        let age = || Duration::try_from(age().unwrap_or_default()).unwrap_or_default();
        let (seen, age) = *self.first_seen.get_or_insert_with(|| (Instant::now(), age()));
        let left = grace.saturating_sub(age + seen.elapsed());
        let end = request.expires.map(|end| end.duration_since(clock::now()));
        let expires_first = end.is_some_and(|end| end <= SignedDuration::try_from(left).unwrap_or(SignedDuration::MAX));
        if expires_first { Duration::ZERO } else { left }
    }

    /// Returns the pause before look-ups of people are retried; `None` if none has failed.
    pub(super) fn look_up_again_in(&mut self, limits: &Limits) -> Option<Duration> {
        let is_partial = self.escalation.as_ref().is_some_and(|escalation| escalation.is_partial)
            || self.delegation.as_ref().is_some_and(|delegation| delegation.is_partial);
        if !is_partial && !self.lacks_group && self.requester != Requester::Missed {
            self.look_up_pauses = None;
            return None;
        }
        let new = || Box::new(Backoff::new(limits.outage_pause, limits.again_longest_pause));
        Some(self.look_up_pauses.get_or_insert_with(new).pause())
    }

    /// Returns whether only people besides the reviewers wait for something.
    pub(super) fn reviewers_are_current(&self) -> bool {
        let refused = self.record().into_iter().flat_map(|record| record.refusals.keys());
        let mut waiting = self.tries.keys().chain(refused);
        self.failures == 0 && !self.stored.is_in_doubt() && !waiting.any(|recipient| recipient.audience.reviews())
    }

    /// Records what was read from Teleport.
    pub(super) fn read(&mut self, map: &BTreeMap<String, String>) {
        self.stored.read(map);
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.stored.record()
    }

    /// Records a failed delivery.
    pub(super) fn defer(&mut self, step: &Step, shown: Shown, deferral: &Deferral, limits: &Limits) -> Retry {
        let before = self.tries.remove(&step.recipient());
        let first = before.is_none();
        let times = before.as_ref().map_or(0, |before| before.times).saturating_add(1);
        let pauses = before.map(|before| before.pauses);
        let mut pauses = pauses.unwrap_or_else(|| Backoff::new(limits.again_first_pause, limits.again_longest_pause));
        let error = deferral.outage();
        let service = error.map_or(Services::NONE, |error| Services::of(error.endpoint()));
        let outage = error.is_some();
        let mut pause = pauses.pause();
        if outage {
            pause = pause.min(limits.outage_pause);
        }
        let retry_in = deferral.asked.map_or(pause, |asked| asked.max(pause));
        let this = Try {
            due: Instant::now() + retry_in,
            shown,
            times,
            asked: deferral.asked.is_some(),
            pauses,
            outage: service,
            missing: deferral.error.is_none(),
        };
        self.tries.insert(step.recipient(), this);
        let hopeless = shown.stage.is_resolved() && times >= MOST_LAST_TRIES && deferral.is_about_the_card();
        Retry {
            pause: retry_in,
            first,
            hopeless,
        }
    }

    /// Returns whether the last attempt of an update found no message.
    pub(super) fn is_missing(&self, step: &Step) -> bool {
        let last = self.tries.get(&step.recipient());
        matches!(step, Step::Update(_)) && last.is_some_and(|last| last.missing)
    }

    /// Makes the deliveries due that wait for recovered services. Returns whether there are any.
    pub(super) fn retry_now(&mut self, recovered: Services) -> bool {
        let now = Instant::now();
        let mut any = false;
        for one in self.tries.values_mut().filter(|one| one.outage.meets(recovered)) {
            one.due = now;
            any = true;
        }
        any
    }

    /// Returns the services that this lane waits for; none if a delivery waits for another reason.
    pub(super) fn waits_for(&self) -> Services {
        if self.failures > 0 {
            return Services::TELEPORT;
        }
        let services = self.tries.values().map(|one| one.outage);
        if services.clone().any(|service| service == Services::NONE) {
            return Services::NONE;
        }
        services.fold(Services::NONE, Services::with)
    }
}
