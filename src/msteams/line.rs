//! Who waits for one conversation, and from when the next of them may go.
//!
//! Architecture Invariant: pure; the time is a parameter. Knows one conversation only.

use std::collections::BTreeSet;

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
}

/// A place in a line: its urgency, then the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket {
    urgency: Urgency,
    number: u64,
}

/// The line before one conversation.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) waiting: BTreeSet<Ticket>,
    pub(crate) log: SendLog,
    pub(crate) in_flight: usize,
    pub(crate) paused_until: Option<Instant>,
    pub(crate) spot: Spot,
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
    pub(crate) fn new(urgency: Urgency, number: u64) -> Self {
        Self { urgency, number }
    }
}

impl Line {
    /// Returns where the line belongs while it may have one more in flight.
    pub(crate) fn next_spot(&self, now: Instant, windows: &[Window]) -> Spot {
        let Some(first) = self.waiting.first() else {
            return Spot::Nowhere;
        };
        let free = windows.iter().filter_map(|window| self.log.free_at(*window)).max();
        match free.max(self.paused_until).filter(|at| *at > now) {
            Some(at) => Spot::Resting(at),
            None => Spot::Ready(*first),
        }
    }

    /// Tells whether nothing would be lost with the line; what no window holds must be forgotten before.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        let paused = self.paused_until.is_some_and(|until| until > now);
        !paused && self.in_flight == 0 && self.waiting.is_empty() && self.log.last().is_none()
    }
}
