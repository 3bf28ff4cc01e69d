//! When the keys are fetched.
//!
//! Bot Connector authentication allows keys to be kept for days, and asks for a refresh once a day. Microsoft replaces
//! keys in an emergency, too; then tokens name a key that is not known yet.
//!
//! Architecture Invariant: pure. The time is a parameter, and a sender of requests cannot cause more than one fetch in
//! a given time, whatever it sends.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

pub(super) struct Schedule {
    due: Instant,
    is_running: bool,
    /// When the last fetch ended, with or without keys.
    ended: Option<Instant>,
    /// The shortest time between a fetch and another one for an unknown key.
    guard: Duration,
    pauses: Backoff,
}

/// Keys are refreshed once a day (Bot Connector authentication, step 3).
const REFRESH: Duration = Duration::from_hours(24);

/// Pauses after failed fetches. Without keys no press can be answered.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

impl Schedule {
    /// Creates a schedule whose first fetch is due now.
    pub(super) fn new(now: Instant, guard: Duration) -> Self {
        Self {
            due: now,
            is_running: false,
            ended: None,
            guard,
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// Returns when the next fetch starts.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn started(&mut self) {
        self.is_running = true;
    }

    pub(super) fn ended(&mut self, succeeded: bool, now: Instant) {
        self.is_running = false;
        self.ended = Some(now);
        self.due = if succeeded {
            self.pauses.reset();
            now + REFRESH
        } else {
            now + self.pauses.pause()
        };
    }

    /// Requests a fetch for an unknown key. Returns whether a fetch runs or is due, whose outcome decides.
    pub(super) fn request(&mut self, now: Instant) -> bool {
        if self.is_running || self.due <= now {
            return true;
        }
        let allowed = self.ended.is_none_or(|ended| now >= ended + self.guard);
        if allowed {
            self.due = now;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Duration = Duration::from_mins(5);

    /// A schedule whose first fetch ended now.
    fn fetched(succeeded: bool, now: Instant) -> Schedule {
        let mut schedule = Schedule::new(now, GUARD);
        assert_eq!(schedule.due(), now);
        schedule.started();
        schedule.ended(succeeded, now);
        schedule
    }

    #[test]
    fn keys_are_refreshed_daily_and_failures_are_retried_with_growing_pauses() {
        let now = Instant::now();
        let mut schedule = fetched(true, now);
        assert_eq!(schedule.due(), now + REFRESH);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            schedule.started();
            schedule.ended(false, now);
            pauses.push(schedule.due() - now);
        }
        assert!(pauses[0] < Duration::from_secs(3), "{pauses:?}");
        assert!(
            pauses[11] > LONGEST_PAUSE / 2 && pauses[11] <= LONGEST_PAUSE,
            "{pauses:?}"
        );
        schedule.ended(true, now);
        schedule.ended(false, now);
        assert!(schedule.due() - now < Duration::from_secs(3));
    }

    #[test]
    fn unknown_keys_cause_one_fetch_in_five_minutes() {
        let now = Instant::now();
        let mut schedule = fetched(true, now);
        assert!(!schedule.request(now + GUARD - Duration::from_secs(1)));
        assert_eq!(schedule.due(), now + REFRESH);
        let later = now + GUARD;
        for _ in 0..50 {
            assert!(schedule.request(later));
        }
        assert_eq!(schedule.due(), later);
        schedule.started();
        assert!(schedule.request(later));
        schedule.ended(true, later);
        assert!(!schedule.request(later));
        assert!(schedule.request(later + GUARD));
    }

    #[test]
    fn a_failed_fetch_counts_as_well() {
        let now = Instant::now();
        let mut schedule = fetched(false, now);
        let retry = schedule.due();
        assert!(!schedule.request(now));
        assert_eq!(schedule.due(), retry);
        assert!(schedule.request(retry));
    }
}
