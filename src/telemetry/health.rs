//! Whether the program lives and whether it can do its work, for those who watch over it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The loop that sorts events turns every few seconds even if nothing happens; after so long it is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// What is known of one daemon; clones know the same.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Absent until the loop is reached for the first time.
    turned: Option<Instant>,
    watching: bool,
    resynced: bool,
    token: bool,
}

impl Health {
    /// Nothing is ready yet.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            turned: None,
            watching: false,
            resynced: false,
            token: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop that sorts events has turned, and tokens of Microsoft are at hand or not.
    pub fn turned(&self, token: bool) {
        let mut state = self.state();
        state.turned = Some(Instant::now());
        state.token = token;
    }

    pub fn watching(&self, watching: bool) {
        self.state().watching = watching;
    }

    /// Everything was listed and compared at least once.
    pub fn resynced(&self) {
        self.state().resynced = true;
    }

    /// Tells whether everything was listed and compared once, which is when the start is over.
    pub fn has_started(&self) -> bool {
        self.state().resynced
    }

    /// Says what is stuck, if anything is.
    pub(super) fn live(&self) -> Result<(), String> {
        let turned = self.state().turned;
        let still = turned.map(|turned| turned.elapsed()).unwrap_or_default();
        if still < STUCK_AFTER {
            return Ok(());
        }
        Err(format!(
            "the loop that sorts events has not turned for {} s\n",
            still.as_secs()
        ))
    }

    /// Says what is missing, if anything is, in lines.
    pub(super) fn ready(&self) -> Result<(), String> {
        let State {
            watching,
            resynced,
            token,
            ..
        } = *self.state();
        let mut missing = String::new();
        for (there, what) in [
            (watching, "events of Teleport are not received"),
            (resynced, "requests were not listed yet"),
            (token, "there are no tokens for Microsoft"),
        ] {
            if !there {
                writeln!(missing, "{what}").expect("writing to a string never fails");
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_told() {
        let health = Health::new();
        tokio::time::advance(STUCK_AFTER).await;
        assert_eq!(health.live(), Ok(()), "it has not begun");
        health.turned(true);
        tokio::time::advance(STUCK_AFTER).await;
        assert!(health.live().unwrap_err().contains("30 s"));
        health.turned(true);
        assert_eq!(health.live(), Ok(()));
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let health = Health::new();
        assert_eq!(health.ready().unwrap_err().lines().count(), 3);
        health.watching(true);
        health.turned(true);
        assert_eq!(health.ready().unwrap_err(), "requests were not listed yet\n");
        health.resynced();
        assert_eq!(health.ready(), Ok(()));
    }
}
