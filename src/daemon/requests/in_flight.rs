//! The deliveries of one run that are in flight, and how many more may begin.
//!
//! Architecture Invariant: pure; the time is a parameter.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::lifecycle::Recipient;

/// Deliveries of one request that move at once: a request with a thousand recipients then stands in the queue like any
/// other. Slow ones do not count.
const MOVING: usize = 32;

/// Deliveries of one request in flight at once, slow ones included.
const IN_FLIGHT: usize = 512;

/// The recipients of the deliveries in flight, and since when they are.
#[derive(Debug)]
pub(super) struct InFlight {
    begun: Vec<(Recipient, Instant)>,
    /// A delivery that takes longer makes room for another one.
    slow: Duration,
}

impl InFlight {
    pub(super) fn new(slow: Duration) -> Self {
        let begun = Vec::new();
        Self { begun, slow }
    }

    pub(super) fn begin(&mut self, recipient: Recipient, now: Instant) {
        self.begun.push((recipient, now));
    }

    pub(super) fn end(&mut self, recipient: &Recipient) {
        self.begun.retain(|(begun, _)| begun != recipient);
    }

    /// Tells whether another delivery may begin beside those that move.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let moving = self.slow_from().filter(|at| now < *at).count();
        moving < MOVING && self.begun.len() < IN_FLIGHT
    }

    /// Returns when the next delivery counts as slow, which makes room.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        self.slow_from().filter(|at| now < *at).min()
    }

    fn slow_from(&self) -> impl Iterator<Item = Instant> {
        self.begun.iter().map(|(_, begun)| *begun + self.slow)
    }
}
