//! Microsoft's limits on sends, and which call may be sent next.
//!
//! Sends of one conversation (a *key*) wait in their own line. At most one call of each line is considered, so a
//! conversation at its limit delays no other, and every step is cheap, however many calls wait.
//!
//! Architecture Invariant: pure. The time is a parameter, and nothing here waits; `pacing` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::msteams::call_queue::{CallQueue, Caller, Key, Pause, Rounds, Spot, Ticket, Urgency};
use crate::msteams::send_log::{SendLog, Window};

/// The limits of a service.
#[derive(Clone, Debug)]
pub(crate) struct PaceLimits {
    /// The limit on all sends together.
    pub(crate) overall: Window,
    /// The shortest time between two sends.
    pub(crate) gap: Duration,
    pub(crate) in_flight: usize,
    /// This many of the sends, and a quarter of those in flight, are not available to background calls.
    pub(crate) reserve: usize,
    /// The limits for each key; all of them apply.
    pub(crate) per_key: Vec<Window>,
    pub(crate) in_flight_per_key: usize,
}

/// The next step of the scheduler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go(Ticket, Key),
    /// No call may be sent before this time.
    At(Instant),
    /// No call may be sent until something changes.
    Idle,
}

/// The lines, and the log of sends.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: PaceLimits,
    lines: HashMap<Key, CallQueue>,
    /// The first call of each line that may send, as far as its key is concerned.
    ready: BTreeMap<Ticket, Key>,
    /// The keys of lines that may not send before a time.
    resting: BTreeSet<(Instant, Key)>,
    log: SendLog,
    in_flight: usize,
    /// Number of calls without an answer for so long that they no longer count as in flight.
    silent: usize,
    pause: Option<Pause>,
    rounds: HashMap<Urgency, Rounds>,
    arrivals: u64,
    swept: Option<Instant>,
}

/// Limits the memory for calls without an answer. Further ones count as in flight.
const MOST_SILENT: usize = 448;

/// Removing idle conversations scans all of them, so it is done rarely.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

impl Pace {
    pub(crate) fn new(limits: PaceLimits) -> Self {
        Self {
            limits,
            lines: HashMap::new(),
            ready: BTreeMap::new(),
            resting: BTreeSet::new(),
            log: SendLog::default(),
            in_flight: 0,
            silent: 0,
            pause: None,
            rounds: HashMap::new(),
            arrivals: 0,
            swept: None,
        }
    }

    /// Adds a call to the line of its key.
    pub(crate) fn join(&mut self, now: Instant, caller: Caller<'_>) -> Ticket {
        let Caller { key, urgency, queue } = caller;
        self.arrivals += 1;
        let round = self.rounds.entry(urgency).or_default().join(queue);
        let ticket = Ticket::new(urgency, round, self.arrivals);
        self.lines.entry(key.clone()).or_default().waiting.insert(ticket);
        self.place(now, key);
        ticket
    }

    /// Removes a call from its line; returns whether it was still waiting.
    pub(crate) fn leave(&mut self, now: Instant, key: &Key, ticket: Ticket) -> bool {
        let held = self.lines.get_mut(key).is_some_and(|line| line.waiting.remove(&ticket));
        self.place(now, key);
        held
    }

    /// Sends the next call, if one may be sent.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        self.sweep(now);
        while let Some((_, key)) = self.resting.first().filter(|(at, _)| *at <= now).cloned() {
            self.place(now, &key);
        }
        let resting = self.resting.first().map(|(at, _)| *at);
        let Some((&ticket, key)) = self.ready.first_key_value() else {
            return resting.map_or(Next::Idle, Next::At);
        };
        // The first call is the most urgent: if it is a background call, all of them are.
        let (mut window, mut in_flight) = (self.limits.overall, self.limits.in_flight);
        if ticket.urgency == Urgency::Background {
            window.sends -= self.limits.reserve;
            in_flight -= in_flight / 4;
        }
        if self.in_flight >= in_flight {
            return Next::Idle;
        }
        let free = self.free_at(window).filter(|at| *at > now);
        if let Some(at) = free {
            return Next::At(at);
        }
        let key = key.clone();
        self.depart(now, &key, ticket);
        Next::Go(ticket, key)
    }

    /// Records that a send had no answer for a while. Returns whether it stops counting as in flight; it still counts
    /// for its key.
    pub(crate) fn mark_silent(&mut self) -> bool {
        let counts = self.silent < MOST_SILENT;
        if counts {
            self.silent += 1;
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        counts
    }

    /// Records the end of a send, whatever its result.
    pub(crate) fn done(&mut self, now: Instant, key: &Key, was_silent: bool) {
        let counted = if was_silent {
            &mut self.silent
        } else {
            &mut self.in_flight
        };
        *counted = counted.saturating_sub(1);
        if let Some(line) = self.lines.get_mut(key) {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
        self.place(now, key);
    }

    /// Pauses a key, or everything with the empty key, and returns the calls that wait in its line.
    pub(crate) fn pause(&mut self, now: Instant, key: &Key, until: Instant) -> Vec<Ticket> {
        if key.is_empty() {
            self.pause = Some(Pause::longer(self.pause, now, until));
            return self
                .lines
                .values()
                .flat_map(|line| line.waiting.iter().copied())
                .collect();
        }
        let line = self.lines.entry(key.clone()).or_default();
        line.pause = Some(Pause::longer(line.pause, now, until));
        let waiting = line.waiting.iter().copied().collect();
        self.place(now, key);
        waiting
    }

    /// Returns the end of the pause of a key.
    pub(crate) fn paused_until(&self, key: &Key) -> Option<Instant> {
        let line = self.lines.get(key).and_then(|line| line.pause);
        line.map(|pause| pause.until).max(self.pause.map(|pause| pause.until))
    }

    /// Returns whether a probe may be sent in spite of the pause.
    pub(crate) fn probe(&mut self, now: Instant, key: &Key) -> bool {
        let line = self.lines.entry(key.clone()).or_default();
        if !(Pause::probe(&mut self.pause, now) && Pause::probe(&mut line.pause, now)) {
            return false;
        }
        self.count(now, key);
        true
    }

    /// Ends the pause of a key and the overall pause.
    pub(crate) fn resume(&mut self, now: Instant, key: &Key) {
        self.pause = None;
        if let Some(line) = self.lines.get_mut(key) {
            line.pause = None;
        }
        self.place(now, key);
    }

    fn depart(&mut self, now: Instant, key: &Key, ticket: Ticket) {
        if let Some(line) = self.lines.get_mut(key) {
            line.waiting.remove(&ticket);
        }
        self.rounds.entry(ticket.urgency).or_default().depart(ticket.round);
        self.count(now, key);
    }

    /// Counts a send.
    fn count(&mut self, now: Instant, key: &Key) {
        let longest = self.longest_window();
        if let Some(line) = self.lines.get_mut(key) {
            line.in_flight += 1;
            if !key.is_empty() {
                line.log.forget(now, longest);
                line.log.record(now);
            }
        }
        self.log.forget(now, self.limits.overall.within);
        self.log.record(now);
        self.in_flight += 1;
        self.place(now, key);
    }

    /// Returns when the overall limits allow the next send.
    fn free_at(&self, window: Window) -> Option<Instant> {
        let gap = self.log.last().map(|last| last + self.limits.gap);
        let pause = self.pause.map(|pause| pause.until);
        gap.max(self.log.free_at(window)).max(pause)
    }

    /// Lists the line of a key where it now belongs.
    fn place(&mut self, now: Instant, key: &Key) {
        let Some(line) = self.lines.get_mut(key) else { return };
        match line.spot {
            Spot::Nowhere => {}
            Spot::Ready(ticket) => {
                self.ready.remove(&ticket);
            }
            Spot::Resting(at) => {
                self.resting.remove(&(at, key.clone()));
            }
        }
        let full = !key.is_empty() && line.in_flight >= self.limits.in_flight_per_key;
        line.spot = if full {
            Spot::Nowhere
        } else {
            line.next_spot(now, &self.limits.per_key)
        };
        match line.spot {
            Spot::Nowhere => {}
            Spot::Ready(ticket) => {
                self.ready.insert(ticket, key.clone());
            }
            Spot::Resting(at) => {
                self.resting.insert((at, key.clone()));
            }
        }
    }

    /// Removes the conversations without calls or recent sends.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        self.rounds.values_mut().for_each(Rounds::sweep);
        let longest = self.longest_window();
        self.lines.retain(|_, line| {
            line.log.forget(now, longest);
            !line.is_quiet(now)
        });
    }

    /// Returns for how long a send counts for its key.
    fn longest_window(&self) -> Duration {
        let windows = self.limits.per_key.iter().map(|window| window.within);
        windows.max().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
