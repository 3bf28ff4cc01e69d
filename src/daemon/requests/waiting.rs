//! Since when people wait for what the cards of a request have to tell.
//!
//! Architecture Invariant: pure; the time is a parameter.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::lifecycle::{Change, Observed};
use crate::domain::request::Stage;

/// The news of one request that not everybody has yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// When the oldest of them was heard.
    since: Instant,
    /// When the request came into its present state.
    newest: Instant,
    state: State,
}

/// What people see a difference in: the stage and the number of reviews; nothing once the request is gone.
type State = Option<(Stage, usize)>;

impl Waiting {
    /// Takes what was heard; the same state, told once more by a list or an event, is no news.
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

    /// Everybody has what was known when the work began; what came meanwhile is all that they wait for.
    pub(super) fn newest_alone(self) -> Self {
        Self {
            since: self.newest,
            ..self
        }
    }

    /// Returns how long a card that tells of this was waited for: whoever gets one for the first time has waited for the oldest
    /// news.
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
