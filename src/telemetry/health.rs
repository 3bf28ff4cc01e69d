//! Whether the daemon makes progress and whether it is ready, for probes and service managers.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::heartbeat::Heartbeat;

/// A loop without a heartbeat for this long is unresponsive. No loop works longer without a pause: calls have their own
/// timeouts, and a loop beats while it waits for them.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(30);

/// Heartbeats of a waiting loop within the time after which it counts as unresponsive.
const BEATS: u32 = 4;

/// An upper bound on the interval between heartbeats.
const LONGEST_BEAT_INTERVAL: Duration = Duration::from_secs(5);

/// The health of one daemon; clones share it.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<Mutex<State>>,
    unresponsive_after: Duration,
}

#[derive(Debug)]
struct State {
    /// Every loop that must be running.
    loops: Vec<Heartbeat>,
    watching: bool,
    resynced: bool,
    token: bool,
}

impl Health {
    /// Creates the state of a daemon that is not ready. With a watchdog, a loop counts as unresponsive after half of its timeout.
    pub fn new(watchdog: Option<Duration>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                loops: Vec::new(),
                watching: false,
                resynced: false,
                token: false,
            })),
            unresponsive_after: watchdog.map_or(UNRESPONSIVE_AFTER, |watchdog| UNRESPONSIVE_AFTER.min(watchdog / 2)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a loop, which must beat from now on.
    pub fn register(&self, name: &'static str) -> Heartbeat {
        let heartbeat = Heartbeat::new(name, self.beat_interval());
        self.state().loops.push(heartbeat.clone());
        heartbeat
    }

    /// Returns how often waiting loops beat, and how often they are checked.
    pub fn beat_interval(&self) -> Duration {
        LONGEST_BEAT_INTERVAL.min(self.unresponsive_after / BEATS)
    }

    /// Returns the names of the unresponsive loops, and the time since their last heartbeat.
    pub fn unresponsive(&self) -> Vec<(&'static str, Duration)> {
        let state = self.state();
        let silent = state
            .loops
            .iter()
            .map(|heartbeat| (heartbeat.name(), heartbeat.silence()));
        silent
            .filter(|(_, silence)| *silence >= self.unresponsive_after)
            .collect()
    }

    /// Records whether the daemon holds tokens for Microsoft.
    pub fn tokens(&self, held: bool) {
        self.state().token = held;
    }

    pub fn watching(&self, watching: bool) {
        self.state().watching = watching;
    }

    /// Records that every open request was compared with its cards.
    pub fn resynced(&self) {
        self.state().resynced = true;
    }

    /// Returns whether every open request was compared with its cards once, which ends the start.
    pub fn has_started(&self) -> bool {
        self.state().resynced
    }

    /// # Errors
    /// One line for each unresponsive loop.
    pub(super) fn live(&self) -> Result<(), String> {
        let mut lines = String::new();
        for (name, silence) in self.unresponsive() {
            writeln!(lines, "{}", unresponsive(name, silence)).expect("writing to a string never fails");
        }
        if lines.is_empty() { Ok(()) } else { Err(lines) }
    }

    /// # Errors
    /// One line for each thing that is missing.
    pub(super) fn ready(&self) -> Result<(), String> {
        let State {
            watching,
            resynced,
            token,
            ..
        } = *self.state();
        let mut missing = String::new();
        for (there, what) in [
            (watching, "not receiving events from Teleport"),
            (resynced, "Access Requests have not been listed yet"),
            (token, "no tokens for Microsoft"),
        ] {
            if !there {
                writeln!(missing, "{what}").expect("writing to a string never fails");
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }
}

/// Describes an unresponsive loop.
pub fn unresponsive(name: &str, silence: Duration) -> String {
    format!("loop {name} is unresponsive for {} s", silence.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_unresponsive_loop_is_named_while_the_others_run() {
        let health = Health::new(None);
        assert_eq!(health.live(), Ok(()), "no loop is registered");
        let (watch, tokens) = (health.register("watch"), health.register("tokens"));
        tokio::time::advance(UNRESPONSIVE_AFTER).await;
        tokens.beat().await;
        assert_eq!(health.live(), Err("loop watch is unresponsive for 30 s\n".to_owned()));
        watch.beat().await;
        assert_eq!(health.live(), Ok(()));
    }

    #[test]
    fn a_loop_counts_as_unresponsive_before_the_service_manager_restarts_the_daemon() {
        for (watchdog, unresponsive_after, beat_interval) in [(None, 30, 5), (Some(60), 30, 5), (Some(8), 4, 1)] {
            let health = Health::new(watchdog.map(Duration::from_secs));
            assert_eq!(health.unresponsive_after.as_secs(), unresponsive_after);
            assert_eq!(health.beat_interval().as_secs(), beat_interval);
        }
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_ready_names_what_is_missing() {
        let health = Health::new(None);
        assert_eq!(health.ready().unwrap_err().lines().count(), 3);
        health.watching(true);
        health.tokens(true);
        assert_eq!(
            health.ready().unwrap_err(),
            "Access Requests have not been listed yet\n"
        );
        health.resynced();
        assert_eq!(health.ready(), Ok(()));
    }
}
