//! One run: the deliveries for a request, from the claim to the entry that releases it.
//!
//! Architecture Invariant: a state machine without I/O. The caller makes the requested calls and passes their results
//! back: the daemon over the network, and the tests in every order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Sub;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::lifecycle::{Claim, Entry, Lease, Outcome, Recipient, Record, RunLog, Shown, Snapshot, Step, Write};

/// The goal of a run: every step delivers a card in the same state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aim {
    pub shown: Shown,
    pub resolve_reason: String,
    pub steps: Vec<Step>,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Landed {
    /// The delivery ended with outcomes to record, in this order.
    Done(Vec<Outcome>),
    /// There is nothing to record: the recipient has a card under another address.
    Elsewhere,
    /// The delivery failed and can be retried later.
    Deferred,
    /// The delivery did not start, because a newer plan arrived or the run was halted.
    NotBegun,
}

/// The deliveries and entries of one claim. Recipients are independent: a new plan does not wait for deliveries in flight,
/// and an entry contains every delivery that has ended.
#[expect(clippy::struct_excessive_bools, reason = "each can hold together with any other")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run<T> {
    account: RunLog,
    lease: Lease<T>,
    term: Duration,
    /// Deliveries of the newest plan that have not started.
    queue: VecDeque<Step>,
    flights: Vec<Flight>,
    /// Deliveries that have ended and are in no entry yet.
    done: Vec<Outcome>,
    /// The entry that is being written.
    writing: Option<(Entry, Record)>,
    /// Teleport has deleted the request, or cannot store its record, so nothing can be written.
    forgotten: bool,
    /// No further delivery starts.
    halted: bool,
    /// A delivery has ended that the newest plan did not take into account.
    outdated: bool,
    /// Some cards will be stale when this run ends.
    incomplete: bool,
    closed: bool,
}

/// A delivery in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    step: Step,
    recipient: Recipient,
    shown: Shown,
    /// A newer plan must take its outcome into account.
    overtaken: bool,
}

impl<T: Copy + Sub<Output = Duration>> Run<T> {
    /// Starts a run with the record that the claim wrote. `forgotten` means that Teleport has deleted the request.
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

    /// Replaces deliveries that have not started with a newer plan. `deferred` means that the plan omits deliveries that are not
    /// due yet.
    pub fn aim(&mut self, aim: Aim, deferred: bool) {
        if !self.takes_plans() {
            return;
        }
        self.outdated = false;
        self.incomplete = deferred;
        for flight in &mut self.flights {
            let mut concerned = aim.steps.iter().filter(|step| step.is_for(&flight.recipient));
            // The plan already covers an identical delivery in flight.
            let same = flight.shown == aim.shown && concerned.all(|step| *step == flight.step);
            flight.overtaken |= !same;
        }
        self.account.aim(aim.shown, &aim.resolve_reason);
        let steps = aim.steps.into_iter();
        let forgotten = self.forgotten;
        let steps = steps.filter(|step| !is_busy(&self.flights, step) && (!forgotten || step.is_update()));
        self.queue = steps.collect();
    }

    /// Applies a newer plan without deliveries. `deferred` is as in [`aim`](Self::aim); `known` means that the plan knows what
    /// cards should show.
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

    /// Returns whether a new plan is necessary, because a delivery has ended that the last plan did not know.
    pub fn wants_plan(&self) -> bool {
        self.outdated && self.takes_plans()
    }

    /// Returns whether the run accepts a newer plan: not after the claim is lost or while it is being released.
    pub fn takes_plans(&self) -> bool {
        !self.halted && !self.is_closing()
    }

    /// Starts the next delivery, if there is one and the claim is valid.
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

    /// Starts no further delivery, because the daemon stops or the claim has ended.
    pub fn halt(&mut self) {
        self.halted = true;
        self.incomplete |= !self.queue.is_empty();
        self.queue.clear();
    }

    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// Applies the end of the delivery to a recipient.
    pub fn landed(&mut self, recipient: &Recipient, landed: Landed) {
        let Some(at) = self.flights.iter().position(|flight| flight.recipient == *recipient) else {
            return;
        };
        let flight = self.flights.remove(at);
        self.outdated |= flight.overtaken;
        match landed {
            Landed::Done(outcomes) => self.done.extend(outcomes),
            Landed::Elsewhere => {}
            // The Go plugin's keys describe the cards of reviewers.
            Landed::Deferred => self.incomplete |= recipient.audience.reviews(),
            // The newer plan replaces it.
            Landed::NotBegun if flight.overtaken => {}
            Landed::NotBegun => {
                self.incomplete = true;
                self.halt();
            }
        }
    }

    /// Returns whether deliveries have ended that are in no entry yet.
    pub fn has_unrecorded(&self) -> bool {
        !self.done.is_empty()
    }

    /// Returns the next entry, unless one is being written: the last entry, which releases the claim, when no work is left, or
    /// an interim one if it is `due`, which records deliveries or renews the claim.
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

    /// Returns the entry that is being written under another mark, after it failed or lost a compare-and-swap. `None` if
    /// nothing of it remains to be written.
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

    /// Applies an entry that Teleport accepted; the claim is valid from `since` on.
    pub fn written(&mut self, write: Write, since: T) {
        self.account.written(write);
        self.renew(since);
        self.finish();
    }

    /// Renews the claim from `since` on, unless it is lost.
    pub fn renew(&mut self, since: T) {
        self.lease.renew(since);
    }

    /// Applies the record that another replica wrote instead; `me` is this replica's name.
    pub fn overtaken(&mut self, map: &BTreeMap<String, String>, me: &str, now: Timestamp) {
        let (record, ours) = self.account.take_over(map, me, now);
        if !ours {
            self.lease.lose();
            self.halt();
        }
        if let Some((_, writing)) = &mut self.writing {
            *writing = record;
        }
    }

    /// Applies that Teleport deleted the request with its record: cards that cannot be recorded are not posted.
    pub fn forget(&mut self) {
        self.forgotten = true;
        self.queue.retain(Step::is_update);
    }

    /// Shrinks an entry that is too large for Teleport, once. Returns whether it became smaller.
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

    /// Returns whether the last entry was written.
    pub fn is_over(&self) -> bool {
        self.closed
    }

    fn is_closing(&self) -> bool {
        self.closed || matches!(self.writing, Some((Entry::Last { .. }, _)))
    }

    /// Returns whether a delivery is in flight.
    pub fn is_flying(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Returns whether the claim is valid.
    pub fn holds(&self, now: T) -> bool {
        self.left(now).is_some()
    }

    /// Returns the remaining time of the claim, unless it has ended.
    pub fn left(&self, now: T) -> Option<Duration> {
        self.lease.left(now, self.term)
    }

    /// Returns the record with all outcomes of this run.
    pub fn record(&self, now: Timestamp) -> Record {
        let writing = self.writing.as_ref().map(|(_, record)| record);
        let mut record = writing.unwrap_or(self.account.record()).clone();
        for outcome in &self.done {
            record.note(outcome.clone(), now);
        }
        record
    }

    /// Returns whether another replica may have updated a card that this run also updated.
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
