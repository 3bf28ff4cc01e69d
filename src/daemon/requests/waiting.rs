//! Measures how long recipients wait for a change of a request.
//!
//! Architecture Invariant: pure; the time is a parameter.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::lifecycle::{Change, Observed};
use crate::domain::request::Stage;

/// The changes of one request that some recipients have not received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// When the oldest of them was received.
    since: Instant,
    /// When the request entered its current state.
    newest: Instant,
    state: State,
}

/// The parts of a request that change what a reviewer sees: the stage and the number of reviews. `None` once the
/// request is gone.
type State = Option<(Stage, usize)>;

impl Waiting {
    /// Records an observation. A state that a list or an event repeats is not a change.
    pub(super) fn hear(waiting: Option<Self>, observed: &Observed, now: Instant) -> Self {
        let state = match observed {
            Observed::Request(request) => Some((request.stage, request.reviews.len())),
            Observed::Gone(_) => None,
        };
        match waiting {
            Some(waiting) if waiting.state == state => waiting,
            Some(Self { since, .. }) => Self {
                since,
                newest: now,
                state,
            },
            None => Self {
                since: now,
                newest: now,
                state,
            },
        }
    }

    /// Records that every recipient has the state that was known when the work began. Only later changes are still
    /// waited for.
    pub(super) fn newest_alone(self) -> Self {
        Self {
            since: self.newest,
            ..self
        }
    }

    /// Counts every wait from this moment on.
    pub(super) fn not_before(self, moment: Instant) -> Self {
        Self {
            since: self.since.max(moment),
            newest: self.newest.max(moment),
            ..self
        }
    }

    /// Returns how long a recipient has waited for this change. A first card counts from the oldest change.
    pub(super) fn delay(&self, change: Change, now: Instant) -> Duration {
        let since = match change {
            Change::Announcement => self.since,
            Change::Review | Change::Resolution => self.newest,
        };
        now.saturating_duration_since(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_as_late_as_the_news_it_brings() {
        let (start, minute) = (Instant::now(), Duration::from_mins(1));
        let pending = Waiting {
            since: start,
            newest: start,
            state: Some((Stage::Pending, 0)),
        };
        let gone = Observed::Gone(None);
        let over = Waiting::hear(Some(pending), &gone, start + 2 * minute);
        let again = Waiting::hear(Some(over), &gone, start + 3 * minute);
        let now = start + 5 * minute;
        assert_eq!(again.delay(Change::Announcement, now), 5 * minute);
        assert_eq!(again.delay(Change::Resolution, now), 3 * minute);
        assert_eq!(again.newest_alone().delay(Change::Announcement, now), 3 * minute);
    }
}
