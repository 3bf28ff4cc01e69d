//! Whether the program lives and whether it can do its work, for those who watch over it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::heartbeat::Heartbeat;

/// A loop that gives no sign for so long is stuck. None has anything to do that takes longer without a rest in between: calls
/// have bounds of their own, and are waited for in rests.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A waiting loop beats so many times in the time after which it counts as stuck.
const BEATS: u32 = 4;

/// An upper bound on the interval between heartbeats.
const LONGEST_BEAT_INTERVAL: Duration = Duration::from_secs(5);

/// What is known of one daemon; clones know the same.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<Mutex<State>>,
    stuck_after: Duration,
}

#[derive(Debug)]
struct State {
    /// Every loop that must turn.
    loops: Vec<Heartbeat>,
    watching: bool,
    resynced: bool,
    token: bool,
}

impl Health {
    /// Nothing is ready yet. If somebody restarts the program after silence, a loop counts as stuck in half of that time.
    pub fn new(watchdog: Option<Duration>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                loops: Vec::new(),
                watching: false,
                resynced: false,
                token: false,
            })),
            stuck_after: watchdog.map_or(STUCK_AFTER, |watchdog| STUCK_AFTER.min(watchdog / 2)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers one more loop, which has to beat from now on.
    pub fn register(&self, name: &'static str) -> Heartbeat {
        let heartbeat = Heartbeat::new(name, self.beat_interval());
        self.state().loops.push(heartbeat.clone());
        heartbeat
    }

    /// Returns how often waiting loops beat, and how often they are checked.
    pub fn beat_interval(&self) -> Duration {
        LONGEST_BEAT_INTERVAL.min(self.stuck_after / BEATS)
    }

    /// Names the loops that are stuck, and tells for how long they have been silent.
    pub fn stuck(&self) -> Vec<(&'static str, Duration)> {
        let state = self.state();
        let silent = state
            .loops
            .iter()
            .map(|heartbeat| (heartbeat.name(), heartbeat.silence()));
        silent.filter(|(_, silence)| *silence >= self.stuck_after).collect()
    }

    /// Tokens of Microsoft are at hand or not.
    pub fn tokens(&self, held: bool) {
        self.state().token = held;
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
        let mut lines = String::new();
        for (name, silence) in self.stuck() {
            writeln!(lines, "{}", silent(name, silence)).expect("writing to a string never fails");
        }
        if lines.is_empty() { Ok(()) } else { Err(lines) }
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

/// Says of one loop that it is stuck.
pub fn silent(name: &str, silence: Duration) -> String {
    format!("the loop {name} has not turned for {} s", silence.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_named_while_the_others_turn() {
        let health = Health::new(None);
        assert_eq!(health.live(), Ok(()), "nothing has begun");
        let (watch, tokens) = (health.register("watch"), health.register("tokens"));
        tokio::time::advance(STUCK_AFTER).await;
        tokens.beat().await;
        assert_eq!(
            health.live(),
            Err("the loop watch has not turned for 30 s\n".to_owned())
        );
        watch.beat().await;
        assert_eq!(health.live(), Ok(()));
    }

    #[test]
    fn a_loop_counts_as_stuck_before_the_manager_loses_patience() {
        for (watchdog, stuck_after, beat_interval) in [(None, 30, 5), (Some(60), 30, 5), (Some(8), 4, 1)] {
            let health = Health::new(watchdog.map(Duration::from_secs));
            assert_eq!(health.stuck_after.as_secs(), stuck_after);
            assert_eq!(health.beat_interval().as_secs(), beat_interval);
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let health = Health::new(None);
        assert_eq!(health.ready().unwrap_err().lines().count(), 3);
        health.watching(true);
        health.tokens(true);
        assert_eq!(health.ready().unwrap_err(), "requests were not listed yet\n");
        health.resynced();
        assert_eq!(health.ready(), Ok(()));
    }
}
