//! Pauses between retries.
//!
//! Values that yield durations; the caller sleeps. The jitter comes from the `backoff` crate, which is
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

    /// Returns the next pause, rounded; never longer than `longest`.
    pub fn pause(&mut self) -> Duration {
        let pause = self.pauses.next_backoff().unwrap_or(self.longest);
        rounded(pause).min(self.longest)
    }

    /// Starts again with the first pause, after a success.
    pub fn reset(&mut self) {
        self.pauses.reset();
    }
}

/// Returns the interval, shortened at random by up to a seventh, so that replicas do not work in step.
pub fn jittered(interval: Duration) -> Duration {
    const LEAST: f64 = 6.0 / 7.0;
    let middle = interval.mul_f64(f64::midpoint(LEAST, 1.0));
    let mut pauses = ExponentialBackoff {
        current_interval: middle,
        initial_interval: middle,
        randomization_factor: (1.0 - LEAST) / (1.0 + LEAST),
        max_interval: interval,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    pauses.next_backoff().unwrap_or(interval).min(interval)
}

/// Rounds a duration to a tenth of a second, or below a second to a millisecond.
pub fn rounded(duration: Duration) -> Duration {
    let unit: u32 = if duration.as_secs() == 0 {
        1_000_000
    } else {
        100_000_000
    };
    let units = (duration.subsec_nanos() + unit / 2) / unit;
    Duration::from_secs(duration.as_secs()).saturating_add(Duration::from_nanos(u64::from(units * unit)))
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
            let rounding = Duration::from_millis(if first.mul_f64(1.34).as_secs() == 0 { 1 } else { 50 });
            let least = first.mul_f64(0.66).saturating_sub(rounding);
            prop_assert!(pauses[0] >= least && pauses[0] <= first.mul_f64(1.34) + rounding);
            prop_assert!(pauses.iter().all(|pause| *pause <= longest && *pause >= least));
            prop_assert!(pauses[19] >= longest.mul_f64(0.6));
        }
    }

    #[test]
    fn an_interval_is_shortened_by_a_seventh_at_most() {
        let all: Vec<_> = (0..1_000).map(|_| jittered(Duration::from_secs(70))).collect();
        let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
        assert!(
            *least >= Duration::from_millis(59_999) && *least < Duration::from_secs(62),
            "{least:?}"
        );
        assert!(
            *most <= Duration::from_secs(70) && *most > Duration::from_secs(68),
            "{most:?}"
        );
    }

    #[test]
    fn pauses_are_read_without_digits_that_mean_nothing() {
        for (nanoseconds, text) in [
            (209_996_506, "210ms"),
            (999_700_000, "1s"),
            (1_234_567_891, "1.2s"),
            (59_960_000_000, "60s"),
            (400_000, "0ns"),
            (500_000, "1ms"),
        ] {
            let duration = Duration::from_nanos(nanoseconds);
            assert_eq!(format!("{:?}", rounded(duration)), text);
        }
        assert!(rounded(Duration::MAX) >= Duration::from_secs(u64::MAX));
        for first in [3, 70, 900, 7_000].map(Duration::from_millis) {
            let pause = format!("{:?}", Backoff::new(first, Duration::from_mins(10)).pause());
            assert!(pause.len() <= 5, "{pause}");
        }
    }
}
