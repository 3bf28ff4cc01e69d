//! What a lane keeps in mind between two runs.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::config::Limits;
use crate::daemon::outages::Services;
use crate::daemon::requests::delivery::Deferral;
use crate::daemon::requests::waiting::Waiting;
use crate::domain::lifecycle::{OthersClaim, Recipient, Record, RecordState, Shown, Step, Target, Why};

/// The memory of one lane. It ends with the lane, and with the process; nothing depends on it but speed, and the last
/// update of a card whose record ended before its request.
#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) stored: RecordState,
    /// The record was looked for once, be it only by trying to create it.
    pub(super) looked: bool,
    /// Targets whose conversation has a card under another address.
    pub(super) aliases: HashSet<Target>,
    /// Deliveries that failed and are retried, by recipient.
    pub(super) tries: HashMap<Recipient, Try>,
    pub(super) backoff: Backoff,
    /// Runs that Teleport kept from beginning, since the last one that began.
    pub(super) failures: u32,
    /// Somebody else's mark, and since when we have seen it unchanged.
    pub(super) foreign: OthersClaim<Instant>,
    /// Since when people wait for what the present run has to tell.
    pub(super) waiting: Option<Waiting>,
    /// Why there was nothing to do when that was logged last.
    nothing: Option<Why>,
}

/// A delivery that failed: when it is due again, and how it failed.
#[derive(Debug)]
pub(super) struct Try {
    due: Instant,
    /// What the card would have shown.
    shown: Shown,
    /// How often it has failed in a row.
    times: u32,
    /// Microsoft has asked for the pause.
    asked: bool,
    pauses: Backoff,
    /// The service that failed as a whole: its recovery makes the delivery due.
    outage: Services,
    /// The card was not where it should be.
    missing: bool,
}

/// When a delivery that failed is due again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) pause: Duration,
    /// It is the first failure in a row.
    pub(super) first: bool,
    /// The last update of the card has failed so often that it is given up.
    pub(super) hopeless: bool,
}

/// How often the last update of a card is tried for a reason that concerns this card alone.
const MOST_LAST_TRIES: u32 = 20;

impl Try {
    /// Returns when a delivery of a card that shows `wanted` is due: news do not wait for the retry of an older state, unless
    /// Microsoft has asked for the pause.
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
            tries: HashMap::new(),
            backoff: Backoff::new(limits.teleport_first_pause, limits.again_longest_pause),
            failures: 0,
            foreign: OthersClaim::none(),
            waiting: None,
            nothing: None,
        }
    }

    /// Tells whether it is news that there is nothing to do, and remembers it.
    pub(super) fn is_news(&mut self, why: Why) -> bool {
        self.nothing.replace(why) != Some(why)
    }

    /// Takes what was read from Teleport.
    pub(super) fn read(&mut self, map: BTreeMap<String, String>) {
        self.stored.read(map);
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.stored.record()
    }

    /// Takes a delivery that failed for now.
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

    /// Tells whether an update found no message when it was tried last.
    pub(super) fn is_missing(&self, step: &Step) -> bool {
        let last = self.tries.get(&step.recipient());
        matches!(step, Step::Update(_)) && last.is_some_and(|last| last.missing)
    }

    /// Takes that services answer again: what waits for them is due. Says whether anything does.
    pub(super) fn retry_now(&mut self, recovered: Services) -> bool {
        let now = Instant::now();
        let mut any = false;
        for one in self.tries.values_mut().filter(|one| one.outage.meets(recovered)) {
            one.due = now;
            any = true;
        }
        any
    }

    /// Returns the services that are waited for here; none if something waits for another reason.
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
