//! Whose turn it is to send: Microsoft's limits, as values.
//!
//! Sends of one conversation (a *key*) wait in a line of their own; at most one line of each key is looked at, so a
//! conversation at its limit holds nobody else, and every step costs little however many wait.
//!
//! Architecture Invariant: pure. The time is a parameter, and nothing here waits; `pacing` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::msteams::line::{Caller, Key, Line, Pause, Rounds, Spot, Ticket, Urgency};
use crate::msteams::send_log::{SendLog, Window};

/// What a service allows.
#[derive(Clone, Debug)]
pub(crate) struct PaceLimits {
    /// At most so many sends in any such time.
    pub(crate) overall: Window,
    /// The smallest time between two sends.
    pub(crate) gap: Duration,
    pub(crate) in_flight: usize,
    /// So many of the sends, and a quarter of those in flight, are kept from what nobody waits for.
    pub(crate) reserve: usize,
    /// All of them hold for each key.
    pub(crate) per_key: Vec<Window>,
    pub(crate) in_flight_per_key: usize,
}

/// Who may go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go(Ticket, Key),
    /// Nobody before then.
    At(Instant),
    /// Nobody until something else happens.
    Idle,
}

/// The lines, and the log of what was sent.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: PaceLimits,
    lines: HashMap<Key, Line>,
    /// The first of each line that may send as far as its key is concerned.
    ready: BTreeMap<Ticket, Key>,
    /// The keys with a line that may not send before a time.
    resting: BTreeSet<(Instant, Key)>,
    log: SendLog,
    in_flight: usize,
    /// Calls that were silent for so long that they no longer count as in flight.
    silent: usize,
    pause: Option<Pause>,
    rounds: HashMap<Urgency, Rounds>,
    arrivals: u64,
    swept: Option<Instant>,
}

/// Bounds what calls that hang take of the memory. Beyond it they count as in flight again.
const MOST_SILENT: usize = 448;

/// Forgetting quiet conversations looks at all of them, so it is done rarely.
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

    /// Takes a place in the line of a key.
    pub(crate) fn join(&mut self, now: Instant, caller: Caller<'_>) -> Ticket {
        let Caller { key, urgency, queue } = caller;
        self.arrivals += 1;
        let round = self.rounds.entry(urgency).or_default().join(queue);
        let ticket = Ticket::new(urgency, round, self.arrivals);
        self.lines.entry(key.clone()).or_default().waiting.insert(ticket);
        self.place(now, key);
        ticket
    }

    /// Gives up a place; returns whether it was still held.
    pub(crate) fn leave(&mut self, now: Instant, key: &Key, ticket: Ticket) -> bool {
        let held = self.lines.get_mut(key).is_some_and(|line| line.waiting.remove(&ticket));
        self.place(now, key);
        held
    }

    /// Lets the next one go, if anybody may.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        self.sweep(now);
        while let Some((_, key)) = self.resting.first().filter(|(at, _)| *at <= now).cloned() {
            self.place(now, &key);
        }
        let resting = self.resting.first().map(|(at, _)| *at);
        let Some((&ticket, key)) = self.ready.first_key_value() else {
            return resting.map_or(Next::Idle, Next::At);
        };
        // What is first is the most urgent: if nobody waits for it, nobody waits for anything.
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

    /// Takes that a send was silent for a while; returns whether it stops to count as in flight. Its key it keeps.
    pub(crate) fn fall_silent(&mut self) -> bool {
        let counts = self.silent < MOST_SILENT;
        if counts {
            self.silent += 1;
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        counts
    }

    /// Takes that a send has ended, however it did.
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

    /// Keeps a key, or with the empty one everything, from sending before a time; returns who waits in its line.
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

    /// Returns until when a key may not send because it was asked to pause.
    pub(crate) fn paused_until(&self, key: &Key) -> Option<Instant> {
        let line = self.lines.get(key).and_then(|line| line.pause);
        line.map(|pause| pause.until).max(self.pause.map(|pause| pause.until))
    }

    /// Lets one call go in spite of a pause if it is time to find out whether the pause is over.
    pub(crate) fn probe(&mut self, now: Instant, key: &Key) -> bool {
        let line = self.lines.entry(key.clone()).or_default();
        if !(Pause::probe(&mut self.pause, now) && Pause::probe(&mut line.pause, now)) {
            return false;
        }
        self.count(now, key);
        true
    }

    /// Ends the pauses of a key and of everything.
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
                line.log.note(now);
            }
        }
        self.log.forget(now, self.limits.overall.within);
        self.log.note(now);
        self.in_flight += 1;
        self.place(now, key);
    }

    /// Returns when the limits on everything allow the next send.
    fn free_at(&self, window: Window) -> Option<Instant> {
        let gap = self.log.last().map(|last| last + self.limits.gap);
        let pause = self.pause.map(|pause| pause.until);
        gap.max(self.log.free_at(window)).max(pause)
    }

    /// Enters the line of a key where it now belongs.
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

    /// Forgets the conversations in which nothing happens any more.
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

    /// Returns for how long a send of a key counts.
    fn longest_window(&self) -> Duration {
        let windows = self.limits.per_key.iter().map(|window| window.within);
        windows.max().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
