//! Who waits for one conversation, and from when the next of them may go.
//!
//! Architecture Invariant: pure; the time is a parameter. A line knows one conversation only.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::msteams::send_log::{SendLog, Window};

/// How much a send matters; those that matter more go first.
///
/// A card that shows a decided request as open misleads now; a new card that comes a moment later does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    Resolution,
    Review,
    Announcement,
    /// Looks up a recipient in advance; no request waits for it.
    Background,
}

/// Shares its text with the table; the empty key stands for sends that no limit of a key concerns.
pub(crate) type Key = Arc<str>;

/// Which call goes first: what is more urgent, and among calls of one urgency requests take turns.
#[derive(Clone, Debug)]
pub struct Priority {
    urgency: Urgency,
    /// The request that a call is made for.
    queue: Option<Key>,
}

/// Who wants to send, and in whose name they wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    /// What the service's limits are counted by, beside the limit on everything.
    pub(crate) key: &'a Key,
    pub(crate) urgency: Urgency,
    /// Callers of different queues take turns, so that a long queue does not delay a short one.
    pub(crate) queue: Option<&'a Key>,
}

impl Priority {
    /// Returns the priority of a call for a request, whose id is the queue.
    pub fn new(urgency: Urgency, queue: &str) -> Self {
        Self {
            urgency,
            queue: Some(Key::from(queue)),
        }
    }

    /// Returns the priority of a call that a command makes, for which an operator waits.
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

    /// Returns the priority of the further calls of a look-up that was begun: they do not stand at the end of its queue again.
    pub(crate) fn going_on(&self) -> Self {
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

/// A place in a line: its urgency, the round of its queue, then the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket {
    pub(crate) urgency: Urgency,
    pub(crate) round: u64,
    number: u64,
}

/// The line before one conversation.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) waiting: BTreeSet<Ticket>,
    pub(crate) log: SendLog,
    pub(crate) in_flight: usize,
    pub(crate) pause: Option<Pause>,
    pub(crate) spot: Spot,
}

/// A time in which nothing is sent, but for one call now and then that finds out whether it is over already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Instant,
    pub(crate) probe_at: Instant,
}

/// Usual pauses are shorter, and obeyed to their end.
const PROBE_EVERY: Duration = Duration::from_mins(1);

impl Pause {
    /// Begins a pause, or makes one longer.
    pub(crate) fn longer(pause: Option<Self>, now: Instant, until: Instant) -> Self {
        Self {
            until: pause.map_or(until, |pause| pause.until.max(until)),
            probe_at: now + PROBE_EVERY,
        }
    }

    /// Tells whether a call may go in spite of the pause, which lets no other for a while then.
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

/// The rounds in which the queues of one urgency take turns: each queue has one call in each round.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    current: u64,
    /// The round of the next call of each queue that is ahead.
    next: HashMap<Key, u64>,
}

impl Rounds {
    /// Returns the round of a call; without a queue it is the one that is served now.
    pub(crate) fn join(&mut self, queue: Option<&Key>) -> u64 {
        let Some(queue) = queue else { return self.current };
        let next = self.next.entry(queue.clone()).or_default();
        let round = self.current.max(*next);
        *next = round + 1;
        round
    }

    /// Takes that a call of this round has gone.
    pub(crate) fn depart(&mut self, round: u64) {
        self.current = self.current.max(round);
    }

    /// Forgets the queues that have nothing ahead.
    pub(crate) fn sweep(&mut self) {
        self.next.retain(|_, next| *next > self.current);
    }
}

/// Where a line is entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Spot {
    #[default]
    Nowhere,
    /// The first may go as far as the conversation is concerned.
    Ready(Ticket),
    /// Nobody may go before then.
    Resting(Instant),
}

impl Ticket {
    pub(crate) fn new(urgency: Urgency, round: u64, number: u64) -> Self {
        Self { urgency, round, number }
    }
}

impl Line {
    /// Returns where the line belongs while it may have one more in flight.
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

    /// Tells whether nothing would be lost with the line; what no window holds must be forgotten before.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        let paused = self.pause.is_some_and(|pause| pause.until > now);
        !paused && self.in_flight == 0 && self.waiting.is_empty() && self.log.last().is_none()
    }
}
