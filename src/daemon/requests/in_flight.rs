//! The deliveries of one run in flight, and how many more can start.
//!
//! Architecture Invariant: pure; the time is a parameter.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::lifecycle::Recipient;

/// The number of concurrent deliveries of one request, so that a request with a thousand recipients queues like any
/// other. Slow deliveries do not count.
const MOVING: usize = 32;

/// The number of concurrent deliveries of one request, slow ones included.
const IN_FLIGHT: usize = 512;

/// The recipients of the deliveries in flight, and when each one started.
#[derive(Debug)]
pub(super) struct InFlight {
    begun: Vec<(Recipient, Instant)>,
    /// A delivery that takes longer no longer counts.
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

    /// Returns whether another delivery can start.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let moving = self.slow_from().filter(|at| now < *at).count();
        moving < MOVING && self.begun.len() < IN_FLIGHT
    }

    /// Returns when the next delivery becomes slow and no longer counts.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        self.slow_from().filter(|at| now < *at).min()
    }

    fn slow_from(&self) -> impl Iterator<Item = Instant> {
        self.begun.iter().map(|(_, begun)| *begun + self.slow)
    }
}
