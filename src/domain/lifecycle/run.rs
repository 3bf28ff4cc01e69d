//! One run: the work on a request from a claim to the entry that gives the claim back.
//!
//! Architecture Invariant: a state machine without I/O. Whoever drives it makes the calls that it asks for and answers each
//! of them; the daemon does so over the network, and the tests in every order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Sub;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::lifecycle::{Claim, Entry, Lease, Outcome, Recipient, Record, RunLog, Shown, Snapshot, Step, Write};

/// What a run is to bring about: every step delivers a card that shows the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aim {
    pub shown: Shown,
    pub resolve_reason: String,
    pub steps: Vec<Step>,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Landed {
    /// With something to record, in this order.
    Done(Vec<Outcome>),
    /// There is nothing to record: the person has a card under another address.
    Elsewhere,
    /// It failed, and can be retried later.
    Deferred,
    /// It was not begun, because a newer plan came or the run was halted.
    NotBegun,
}

/// The deliveries and entries of one claim. Recipients are independent: a new plan does not wait for deliveries in flight,
/// and an entry takes whatever has ended.
#[expect(clippy::struct_excessive_bools, reason = "each can hold together with any other")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run<T> {
    account: RunLog,
    lease: Lease<T>,
    term: Duration,
    /// Deliveries of the newest plan that have not begun.
    queue: VecDeque<Step>,
    flights: Vec<Flight>,
    /// Ended, and in no entry yet.
    done: Vec<Outcome>,
    /// The entry that is being written.
    writing: Option<(Entry, Record)>,
    /// Teleport has forgotten the request, or cannot store its record: there is nothing to write to.
    forgotten: bool,
    /// Nothing more is begun.
    halted: bool,
    /// A delivery has ended that a newer plan could not take into account.
    outdated: bool,
    /// Not every card will show what it should when this run ends.
    incomplete: bool,
    closed: bool,
}

/// A delivery that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    step: Step,
    recipient: Recipient,
    shown: Shown,
    /// A newer plan has to look at what becomes of it.
    overtaken: bool,
}

impl<T: Copy + Sub<Output = Duration>> Run<T> {
    /// Begins with the record as the claim left it. `forgotten` says that Teleport has nothing to write to.
    pub fn new(aim: Aim, deferred: bool, known: Snapshot, lease: Lease<T>, term: Duration, forgotten: bool) -> Self {
        let steps = aim.steps.into_iter().filter(|step| !forgotten || step.is_update());
        Self {
            account: RunLog::new(aim.shown, &aim.resolve_reason, known),
            lease,
            term,
            queue: steps.collect(),
            flights: Vec::new(),
            done: Vec::new(),
            writing: None,
            forgotten,
            halted: false,
            outdated: false,
            incomplete: deferred,
            closed: false,
        }
    }

    /// Takes a newer plan in the place of what has not begun. `deferred` says that the plan leaves out deliveries that are
    /// not due yet.
    pub fn aim(&mut self, aim: Aim, deferred: bool) {
        if !self.takes_plans() {
            return;
        }
        self.outdated = false;
        self.incomplete = deferred;
        for flight in &mut self.flights {
            let mut concerned = aim.steps.iter().filter(|step| step.is_for(&flight.recipient));
            // The same delivery of the same card needs no second look.
            let same = flight.shown == aim.shown && concerned.all(|step| *step == flight.step);
            flight.overtaken |= !same;
        }
        self.account.aim(aim.shown, &aim.resolve_reason);
        let steps = aim.steps.into_iter();
        let forgotten = self.forgotten;
        let steps = steps.filter(|step| !is_busy(&self.flights, step) && (!forgotten || step.is_update()));
        self.queue = steps.collect();
    }

    /// Takes a newer plan that has nothing to do now. `deferred` as in [`aim`](Self::aim); `known` says that the plan knows
    /// what cards should show.
    pub fn rest(&mut self, deferred: bool, known: bool) {
        if !self.takes_plans() {
            return;
        }
        self.outdated = false;
        self.incomplete = deferred || !known;
        self.queue.clear();
        for flight in &mut self.flights {
            flight.overtaken = true;
        }
    }

    /// Tells whether a plan has to be made again, because a delivery has ended that the last one could not know.
    pub fn wants_plan(&self) -> bool {
        self.outdated && self.takes_plans()
    }

    /// Tells whether a newer plan can still be taken: not once the claim is lost, or being given back.
    pub fn takes_plans(&self) -> bool {
        !self.halted && !self.is_closing()
    }

    /// Begins the next delivery, if there is one and the claim holds.
    pub fn begin(&mut self, now: T) -> Option<Step> {
        if self.queue.is_empty() || self.is_closing() {
            return None;
        }
        if !self.holds(now) {
            self.halt();
            return None;
        }
        let next = self.queue.iter().position(|step| !is_busy(&self.flights, step))?;
        let step = self.queue.remove(next)?;
        self.flights.push(Flight {
            step: step.clone(),
            recipient: step.recipient(),
            shown: self.account.shown(),
            overtaken: false,
        });
        Some(step)
    }

    /// Begins nothing more: the daemon stops, or the claim has ended.
    pub fn halt(&mut self) {
        self.halted = true;
        self.incomplete |= !self.queue.is_empty();
        self.queue.clear();
    }

    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// Takes the end of the delivery to a recipient.
    pub fn landed(&mut self, recipient: &Recipient, landed: Landed) {
        let Some(at) = self.flights.iter().position(|flight| flight.recipient == *recipient) else {
            return;
        };
        let flight = self.flights.remove(at);
        self.outdated |= flight.overtaken;
        match landed {
            Landed::Done(outcomes) => self.done.extend(outcomes),
            Landed::Elsewhere => {}
            Landed::Deferred => self.incomplete = true,
            // It gives way to a newer plan.
            Landed::NotBegun if flight.overtaken => {}
            Landed::NotBegun => {
                self.incomplete = true;
                self.halt();
            }
        }
    }

    /// Tells whether deliveries have ended that are in no entry yet.
    pub fn has_unrecorded(&self) -> bool {
        !self.done.is_empty()
    }

    /// Returns the next entry, unless one is being written: the last one, which gives the claim back, when nothing is left to
    /// do, and before that an interim one if it is `due`, to record deliveries or to keep the claim.
    pub fn entry(&mut self, mark: Claim, due: bool, now: Timestamp) -> Option<Write> {
        if self.writing.is_some() || self.closed {
            return None;
        }
        let last = self.queue.is_empty() && self.flights.is_empty() && !self.wants_plan();
        if !last && !due {
            return None;
        }
        let record = self.account.note(std::mem::take(&mut self.done), now);
        let complete = !self.incomplete;
        let entry = if last { Entry::Last { complete } } else { Entry::Interim };
        self.writing = Some((entry, record));
        self.write(mark)
    }

    /// Returns the entry that is being written under another mark, after it failed or was overtaken. Without one, there is
    /// nothing left to write of it.
    pub fn write(&mut self, mark: Claim) -> Option<Write> {
        let (entry, record) = self.writing.clone()?;
        match self.account.entry(record, entry, mark) {
            Some(write) if self.forgotten => self.account.keep(write.record),
            Some(write) => return Some(write),
            None => {}
        }
        self.finish();
        None
    }

    /// Takes an entry that Teleport accepted; the claim holds from `since` on.
    pub fn written(&mut self, write: Write, since: T) {
        self.account.written(write);
        self.renew(since);
        self.finish();
    }

    /// Holds the claim from `since` on, unless it is lost.
    pub fn renew(&mut self, since: T) {
        self.lease.renew(since);
    }

    /// Takes the record that another replica wrote instead; `me` is our name.
    pub fn overtaken(&mut self, map: BTreeMap<String, String>, me: &str, now: Timestamp) {
        let (record, ours) = self.account.take_over(map, me, now);
        if !ours {
            self.lease.lose();
            self.halt();
        }
        if let Some((_, writing)) = &mut self.writing {
            *writing = record;
        }
    }

    /// Takes that Teleport has forgotten the request, and its record with it: no card is posted that cannot be recorded.
    pub fn forget(&mut self) {
        self.forgotten = true;
        self.queue.retain(Step::is_update);
    }

    /// Takes that the entry is too large for Teleport: it is made smaller once. Says whether that helps.
    pub fn shrink(&mut self) -> bool {
        let Some((_, record)) = &mut self.writing else {
            return false;
        };
        let smaller = !record.brief;
        record.brief = true;
        if !smaller {
            self.forget();
        }
        smaller
    }

    fn finish(&mut self) {
        if let Some((Entry::Last { .. }, _)) = self.writing.take() {
            self.closed = true;
        }
    }

    /// Tells whether the last entry was written.
    pub fn is_over(&self) -> bool {
        self.closed
    }

    fn is_closing(&self) -> bool {
        self.closed || matches!(self.writing, Some((Entry::Last { .. }, _)))
    }

    /// Tells whether a delivery is in flight.
    pub fn is_flying(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Tells whether the claim holds.
    pub fn holds(&self, now: T) -> bool {
        self.left(now).is_some()
    }

    /// Returns how long the claim holds still, unless it has ended.
    pub fn left(&self, now: T) -> Option<Duration> {
        self.lease.left(now, self.term)
    }

    /// Returns the record with everything that was done.
    pub fn record(&self, now: Timestamp) -> Record {
        let writing = self.writing.as_ref().map(|(_, record)| record);
        let mut record = writing.unwrap_or(self.account.record()).clone();
        for outcome in &self.done {
            record.note(outcome.clone(), now);
        }
        record
    }

    /// Tells whether another replica may have updated a card that this run updated too.
    pub fn is_contested(&self) -> bool {
        self.account.is_contested()
    }

    /// Returns what is known of the record at the end.
    pub fn into_known(self) -> Snapshot {
        self.account.into_known()
    }

    pub fn account(&self) -> &RunLog {
        &self.account
    }
}

fn is_busy(flights: &[Flight], step: &Step) -> bool {
    flights.iter().any(|flight| step.is_for(&flight.recipient))
}
