//! The times of sends, and when the next may follow.
//!
//! Architecture Invariant: pure; the time is a parameter.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A limit on the sends in a period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) sends: usize,
    pub(crate) within: Duration,
}

/// The times of the latest sends, oldest first.
#[derive(Debug, Default)]
pub(crate) struct SendLog(VecDeque<Instant>);

impl SendLog {
    pub(crate) fn record(&mut self, now: Instant) {
        self.0.push_back(now);
    }

    pub(crate) fn last(&self) -> Option<Instant> {
        self.0.back().copied()
    }

    /// Returns when one more send fits into the window; `None` means now.
    pub(crate) fn free_at(&self, window: Window) -> Option<Instant> {
        let first = self.0.len().checked_sub(window.sends)?;
        self.0.get(first).map(|at| *at + window.within)
    }

    /// Removes sends that are older than any window.
    pub(crate) fn forget(&mut self, now: Instant, within: Duration) {
        while self.0.front().is_some_and(|at| *at + within <= now) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_send_fits_when_the_oldest_of_a_full_window_leaves_it() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let window = Window {
            sends: 2,
            within: 10 * second,
        };
        let mut log = SendLog::default();
        log.record(start);
        assert_eq!(log.free_at(window), None);
        log.record(start + second);
        assert_eq!(log.free_at(window), Some(start + 10 * second));
        log.record(start + 10 * second);
        assert_eq!(log.free_at(window), Some(start + 11 * second));
        log.forget(start + 11 * second, 10 * second);
        assert_eq!(log.last(), Some(start + 10 * second));
        assert_eq!(log.free_at(window), None);
    }
}
