//! The calls that wait for one conversation, and the time at which the next may go.
//!
//! Architecture Invariant: pure; the time is a parameter. A queue covers only one conversation.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::msteams::send_log::{SendLog, Window};

/// The urgency of a send. More urgent sends go first.
///
/// A card that shows a resolved request as open misleads now; a new card that arrives a moment later does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    Resolution,
    Review,
    Announcement,
    /// Looks up a recipient in advance, or reminds the owner of an Access List; no request waits for it.
    Background,
}

/// The key of a line, a text shared with the table of lines. The empty key means that only the overall limits apply.
pub(crate) type Key = Arc<str>;

/// The order of calls: more urgent ones first, and requests of the same urgency take turns.
#[derive(Clone, Debug)]
pub struct Priority {
    urgency: Urgency,
    /// The request that the call belongs to.
    queue: Option<Key>,
}

/// A call that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    /// The key of the limits that apply in addition to the overall limits.
    pub(crate) key: &'a Key,
    pub(crate) urgency: Urgency,
    /// Callers of different queues take turns, so that a long queue does not delay a short one.
    pub(crate) queue: Option<&'a Key>,
}

impl Priority {
    /// Returns the priority of a call for a request, whose id identifies the queue.
    pub fn new(urgency: Urgency, queue: &str) -> Self {
        Self {
            urgency,
            queue: Some(Key::from(queue)),
        }
    }

    /// Returns the priority of a call by a command, for which an operator waits.
    pub fn command() -> Self {
        Self {
            urgency: Urgency::Announcement,
            queue: None,
        }
    }

    /// Returns the priority of a call that no request waits for.
    pub fn background() -> Self {
        Self {
            urgency: Urgency::Background,
            queue: None,
        }
    }

    /// Returns the priority of further calls of the same lookup, which do not queue again behind other calls of their
    /// request.
    pub(crate) fn continued(&self) -> Self {
        Self {
            urgency: self.urgency,
            queue: None,
        }
    }

    pub(crate) fn is_background(&self) -> bool {
        self.urgency == Urgency::Background
    }

    pub(crate) fn caller<'a>(&'a self, key: &'a Key) -> Caller<'a> {
        Caller {
            key,
            urgency: self.urgency,
            queue: self.queue.as_ref(),
        }
    }
}

#[cfg(test)]
impl<'a> Caller<'a> {
    pub(crate) fn new(key: &'a Key, urgency: Urgency) -> Self {
        Self {
            key,
            urgency,
            queue: None,
        }
    }
}

/// A place in a queue: ordered by urgency, then by the round of its caller, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket {
    pub(crate) urgency: Urgency,
    pub(crate) round: u64,
    number: u64,
}

/// The queue of one conversation.
#[derive(Debug, Default)]
pub(crate) struct CallQueue {
    pub(crate) waiting: BTreeSet<Ticket>,
    pub(crate) log: SendLog,
    pub(crate) in_flight: usize,
    pub(crate) pause: Option<Pause>,
    pub(crate) spot: Spot,
}

/// A time in which nothing is sent, except for an occasional probe that tests whether the pause is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Instant,
    pub(crate) probe_at: Instant,
}

/// Interval between probes. Usual pauses are shorter, and obeyed to their end.
const PROBE_EVERY: Duration = Duration::from_mins(1);

impl Pause {
    /// Starts a pause, or extends it.
    pub(crate) fn longer(pause: Option<Self>, now: Instant, until: Instant) -> Self {
        Self {
            until: pause.map_or(until, |pause| pause.until.max(until)),
            probe_at: now + PROBE_EVERY,
        }
    }

    /// Returns whether a probe may be sent now, and schedules the next one if so.
    pub(crate) fn probe(pause: &mut Option<Self>, now: Instant) -> bool {
        let Some(pause) = pause.as_mut().filter(|pause| pause.until > now) else {
            return true;
        };
        let due = pause.probe_at <= now;
        if due {
            pause.probe_at = now + PROBE_EVERY;
        }
        due
    }
}

/// The rounds in which the queues of one urgency take turns: each queue has one call per round.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    current: u64,
    /// The round of the next call of each queue that is ahead.
    next: HashMap<Key, u64>,
}

impl Rounds {
    /// Returns the round of a call. A call without a queue gets the current round.
    pub(crate) fn join(&mut self, queue: Option<&Key>) -> u64 {
        let Some(queue) = queue else { return self.current };
        let next = self.next.entry(queue.clone()).or_default();
        let round = self.current.max(*next);
        *next = round + 1;
        round
    }

    /// Records that a call of this round was sent.
    pub(crate) fn depart(&mut self, round: u64) {
        self.current = self.current.max(round);
    }

    /// Removes queues that are not ahead.
    pub(crate) fn sweep(&mut self) {
        self.next.retain(|_, next| *next > self.current);
    }
}

/// The index of `Pace` that lists the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Spot {
    #[default]
    Nowhere,
    /// The first call may be sent, as far as the conversation is concerned.
    Ready(Ticket),
    /// No call may be sent before this time.
    Resting(Instant),
}

impl Ticket {
    pub(crate) fn new(urgency: Urgency, round: u64, number: u64) -> Self {
        Self { urgency, round, number }
    }
}

impl CallQueue {
    /// Returns where to list the line, if it may have one more call in flight.
    pub(crate) fn next_spot(&self, now: Instant, windows: &[Window]) -> Spot {
        let Some(first) = self.waiting.first() else {
            return Spot::Nowhere;
        };
        let free = windows.iter().filter_map(|window| self.log.free_at(*window)).max();
        match free.max(self.pause.map(|pause| pause.until)).filter(|at| *at > now) {
            Some(at) => Spot::Resting(at),
            None => Spot::Ready(*first),
        }
    }

    /// Returns whether the line can be dropped without losing state. Expired entries of the log must be removed first.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        let paused = self.pause.is_some_and(|pause| pause.until > now);
        !paused && self.in_flight == 0 && self.waiting.is_empty() && self.log.last().is_none()
    }
}
