//! How long to wait before trying again.
//!
//! A value that yields durations; the caller sleeps. The jitter comes from the `backoff` crate, which is
//! unmaintained (RUSTSEC-2025-0012) and therefore named nowhere else.
//!
//! Architecture Invariant: knows nothing of the program, and never waits itself.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Pauses that double from `first` to `longest`, each shortened or lengthened by up to a third.
#[derive(Debug)]
pub struct Backoff {
    pauses: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        let pauses = ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.33,
            multiplier: 2.0,
            max_interval: longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { pauses, longest }
    }

    /// Returns the next pause; never longer than `longest`.
    pub fn pause(&mut self) -> Duration {
        let pause = self.pauses.next_backoff().unwrap_or(self.longest);
        pause.min(self.longest)
    }

    /// Begins again with the first pause, after something went well.
    pub fn reset(&mut self) {
        self.pauses.reset();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pauses_grow_and_stay_within_their_bounds(first in 1_u64..1_000, times in 2_u64..100) {
            let longest = Duration::from_millis(first * times);
            let first = Duration::from_millis(first);
            let mut backoff = Backoff::new(first, longest);
            let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
            prop_assert!(pauses[0] >= first.mul_f64(0.66) && pauses[0] <= first.mul_f64(1.34));
            prop_assert!(pauses.iter().all(|pause| *pause <= longest && *pause >= first.mul_f64(0.66)));
            prop_assert!(pauses[19] >= longest.mul_f64(0.6));
        }
    }
}
