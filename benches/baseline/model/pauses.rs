//! The time between retries: random, and about three times as long as the previous one.

use std::time::Duration;

pub(crate) struct Pauses {
    shortest: Duration,
    longest: Duration,
    last: Duration,
}

impl Pauses {
    /// All pauses of the plugin start at one millisecond.
    pub(crate) fn up_to(longest: Duration) -> Self {
        let shortest = Duration::from_millis(1);
        Self {
            shortest,
            longest,
            last: shortest,
        }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let most = (self.last * 3).as_secs_f64();
        let least = self.shortest.as_secs_f64();
        let pause = least + fastrand::f64() * (most - least);
        self.last = Duration::from_secs_f64(pause).min(self.longest);
        self.last
    }
}
