//! When an outage is logged: when it begins, then at growing intervals, and when it ends.
//!
//! Architecture Invariant: pure; the time is a parameter. Knows nothing of what fails.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;

/// The time between the first and the second line; it doubles with each further line.
const FIRST_INTERVAL: Duration = Duration::from_mins(1);

/// The last hour of a log shows every outage.
const LONGEST_INTERVAL: Duration = Duration::from_hours(1);

/// An outage that returns within this time continues the intervals of the last one.
const CALM: Duration = Duration::from_mins(10);

/// The state of one service.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Outage {
    /// Present while the service fails.
    spell: Option<Spell>,
    last_failure: Option<Instant>,
    last_line: Option<Instant>,
    /// The earliest time of the next line.
    due: Option<Instant>,
    interval: Option<Duration>,
    /// A single request may still be logged as an example.
    example: bool,
    /// The causes that were logged since the service was last calm, as hashes.
    causes: Vec<u64>,
}

#[derive(Debug)]
struct Spell {
    since: Instant,
    failures: u64,
    logged: bool,
}

/// The number of causes that get a separate line.
const MOST_CAUSES: usize = 8;

/// A server that stops fails in several ways at first. A cause that is new after this time gets a separate line.
const SETTLES: Duration = Duration::from_secs(2);

/// The numbers of a log line about an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Report {
    pub(in crate::daemon) failures: u64,
    pub(in crate::daemon) lasted: Duration,
}

impl Outage {
    /// Records a failure. Returns what to log if a line is due, or if its cause was not logged since the service was last
    /// calm.
    pub(in crate::daemon) fn fails(&mut self, now: Instant, cause: &str) -> Option<Report> {
        let mut hasher = DefaultHasher::new();
        cause.hash(&mut hasher);
        let cause = hasher.finish();
        if self.last_failure.is_some_and(|last| now >= last + CALM) {
            (self.due, self.interval, self.last_line) = (None, None, None);
            self.causes.clear();
        }
        self.last_failure = Some(now);
        let spell = self.spell.get_or_insert(Spell {
            since: now,
            failures: 0,
            logged: false,
        });
        spell.failures += 1;
        let is_new = !self.causes.contains(&cause) && self.causes.len() < MOST_CAUSES;
        let settled = self.last_line.is_some_and(|last| now >= last + SETTLES);
        if is_new && settled {
            self.causes.push(cause);
            (spell.logged, self.last_line, self.example) = (true, Some(now), true);
            return Some(spell.report(now));
        }
        if self.due.is_some_and(|due| now < due) {
            return None;
        }
        let interval = self.interval.map_or(FIRST_INTERVAL, |last| last * 2);
        let interval = interval.min(LONGEST_INTERVAL);
        (self.due, self.interval) = (Some(now + interval), Some(interval));
        if is_new {
            self.causes.push(cause);
        }
        (spell.logged, self.example, self.last_line) = (true, true, Some(now));
        Some(spell.report(now))
    }

    /// Returns the number of failures since the last success.
    pub(in crate::daemon) fn failures(&self) -> u64 {
        self.spell.as_ref().map_or(0, |spell| spell.failures)
    }

    /// Records a success. Returns what to log if the outage was logged.
    pub(in crate::daemon) fn works(&mut self, now: Instant) -> Option<Report> {
        let spell = self.spell.take()?;
        spell.logged.then(|| spell.report(now))
    }

    /// Returns whether the service fails now and a line said so.
    pub(in crate::daemon) fn is_logged(&self) -> bool {
        self.spell.as_ref().is_some_and(|spell| spell.logged)
    }

    /// Returns whether one request may be logged as an example: once for each line about the outage.
    pub(in crate::daemon) fn example(&mut self) -> bool {
        std::mem::take(&mut self.example)
    }
}

impl Spell {
    fn report(&self, now: Instant) -> Report {
        Report {
            failures: self.failures,
            lasted: now.saturating_duration_since(self.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Fails every second for a time, and returns the minutes at which a line was due.
    fn lines(outage: &mut Outage, start: Instant, lasting: Duration) -> Vec<u64> {
        let seconds = 0..lasting.as_secs();
        let lines = seconds.filter(|second| {
            outage
                .fails(start + SECOND * u32::try_from(*second).unwrap(), "cause")
                .is_some()
        });
        lines.map(|second| second / 60).collect()
    }

    #[test]
    fn a_failure_is_logged_at_growing_intervals_and_its_end_once() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let lasting = Duration::from_hours(5);
        let expected = [0, 1, 3, 7, 15, 31, 63, 123, 183, 243];
        assert_eq!(lines(&mut outage, start, lasting), expected);
        assert!(outage.is_logged());
        let report = outage.works(start + lasting).unwrap();
        assert_eq!((report.failures, report.lasted), (lasting.as_secs(), lasting));
        assert_eq!(outage.works(start + lasting), None);
    }

    #[test]
    fn what_comes_and_goes_is_logged_no_more_often_than_what_stays() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let mut lines = 0;
        for second in 0..3_600 {
            lines += usize::from(outage.fails(start + second * SECOND, "cause").is_some());
            lines += usize::from(outage.works(start + second * SECOND).is_some());
        }
        assert_eq!(lines, 12);
        assert!(
            outage.fails(start + Duration::from_hours(1) + CALM, "cause").is_some(),
            "news again"
        );
    }

    #[test]
    fn each_line_may_have_one_example() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert!(!outage.example());
        outage.fails(start, "cause");
        assert!(outage.example());
        outage.fails(start, "cause");
        assert!(!outage.example());
        outage.fails(start + FIRST_INTERVAL, "cause");
        assert!(outage.example());
    }

    #[test]
    fn another_cause_is_logged_once_although_the_failure_goes_on() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let mut logs = |second, cause| outage.fails(start + second * SECOND, cause).is_some();
        assert!(logs(0, "refused"));
        assert!(!logs(1, "refused"));
        assert!(logs(2, "the certificate is not trusted"));
        assert!(!logs(3, "refused"));
        assert!(!logs(4, "the certificate is not trusted"));
        assert!(outage.works(start + 5 * SECOND).is_some());
    }

    #[test]
    fn another_cause_is_logged_although_the_last_outage_ended_a_moment_ago() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert!(outage.fails(start, "no such user").is_some());
        assert!(outage.works(start + 5 * SECOND).is_some());
        assert!(outage.fails(start + 8 * SECOND, "the user is locked").is_some());
        assert!(outage.works(start + 9 * SECOND).is_some());
        for cause in ["no such user", "the user is locked"] {
            assert!(outage.fails(start + 12 * SECOND, cause).is_none());
        }
    }
}
