//! When a failure that goes on is told: at once, then at growing intervals, and when it is over.
//!
//! Architecture Invariant: pure; the time is a parameter. Knows nothing of what fails.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;

/// The second line comes so long after the first; every further one after twice the time of the one before.
const FIRST_INTERVAL: Duration = Duration::from_mins(1);

/// Whoever reads the last hour of a log learns of everything that does not work.
const LONGEST_INTERVAL: Duration = Duration::from_hours(1);

/// What fails again so soon after it was well is no news: it goes on with the intervals where it stopped.
const CALM: Duration = Duration::from_mins(10);

/// What is known of one thing that can fail.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Outage {
    /// Present while it fails.
    spell: Option<Spell>,
    last_failure: Option<Instant>,
    last_line: Option<Instant>,
    /// No line before.
    due: Option<Instant>,
    interval: Option<Duration>,
    /// A single case may still be told of, to show what the failure does.
    example: bool,
    /// The causes that have had a line since it was calm, as hashes.
    causes: Vec<u64>,
}

#[derive(Debug)]
struct Spell {
    since: Instant,
    failures: u64,
    told: bool,
}

/// Of a failure that has more causes than this, further ones are no news.
const MOST_CAUSES: usize = 8;

/// What breaks shows several faces at first, as when a server stops. What is still new after this long has its own line.
const SETTLES: Duration = Duration::from_secs(2);

/// What a line says of a spell of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Report {
    pub(in crate::daemon) failures: u64,
    pub(in crate::daemon) lasted: Duration,
}

impl Outage {
    /// Takes a failure; returns what to tell of it, if that is due: by the clock, or because of a cause that has had no line
    /// since it was calm.
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
            told: false,
        });
        spell.failures += 1;
        let is_new = !self.causes.contains(&cause) && self.causes.len() < MOST_CAUSES;
        let settled = self.last_line.is_some_and(|last| now >= last + SETTLES);
        if is_new && settled {
            self.causes.push(cause);
            (spell.told, self.last_line, self.example) = (true, Some(now), true);
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
        (spell.told, self.example, self.last_line) = (true, true, Some(now));
        Some(spell.report(now))
    }

    /// Returns how often it has failed since it worked last.
    pub(in crate::daemon) fn failures(&self) -> u64 {
        self.spell.as_ref().map_or(0, |spell| spell.failures)
    }

    /// Takes a success; returns what to tell of the end, if the failures were told of.
    pub(in crate::daemon) fn works(&mut self, now: Instant) -> Option<Report> {
        let spell = self.spell.take()?;
        spell.told.then(|| spell.report(now))
    }

    /// Tells whether it fails now, and people know.
    pub(in crate::daemon) fn is_told(&self) -> bool {
        self.spell.as_ref().is_some_and(|spell| spell.told)
    }

    /// Tells whether one case of the failure may have a line: one for each line about the failure itself.
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

    /// Lets it fail every second for so long; returns the minutes at which that was told.
    fn told(outage: &mut Outage, start: Instant, lasting: Duration) -> Vec<u64> {
        let seconds = 0..lasting.as_secs();
        let told = seconds.filter(|second| {
            outage
                .fails(start + SECOND * u32::try_from(*second).unwrap(), "cause")
                .is_some()
        });
        told.map(|second| second / 60).collect()
    }

    #[test]
    fn a_failure_is_told_at_growing_intervals_and_its_end_once() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let lasting = Duration::from_hours(5);
        let expected = [0, 1, 3, 7, 15, 31, 63, 123, 183, 243];
        assert_eq!(told(&mut outage, start, lasting), expected);
        assert!(outage.is_told());
        let report = outage.works(start + lasting).unwrap();
        assert_eq!((report.failures, report.lasted), (lasting.as_secs(), lasting));
        assert_eq!(outage.works(start + lasting), None);
    }

    #[test]
    fn what_comes_and_goes_is_told_no_more_often_than_what_stays() {
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
    fn another_cause_is_told_once_although_the_failure_goes_on() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let mut told = |second, cause| outage.fails(start + second * SECOND, cause).is_some();
        assert!(told(0, "refused"));
        assert!(!told(1, "refused"));
        assert!(told(2, "the certificate is not trusted"));
        assert!(!told(3, "refused"));
        assert!(!told(4, "the certificate is not trusted"));
        assert!(outage.works(start + 5 * SECOND).is_some());
    }

    #[test]
    fn another_cause_has_its_line_although_the_last_outage_ended_a_moment_ago() {
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
