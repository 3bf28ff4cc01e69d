//! The heartbeats of the loops that do the work.
//!
//! A loop beats in each round, and by the clock while it waits for work. Silence therefore means that the loop is
//! unresponsive, not that it is idle.
//!
//! Architecture Invariant: knows nothing of the program, and decides nothing.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The heartbeat of one loop; clones share it.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    every: Duration,
    last: Mutex<Instant>,
}

impl Heartbeat {
    /// Creates the heartbeat of a loop that beats at this interval while it waits.
    pub fn new(name: &'static str, every: Duration) -> Self {
        Self(Arc::new(Inner {
            name,
            every,
            last: Mutex::new(Instant::now()),
        }))
    }

    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Returns the time since the last beat.
    pub fn silence(&self) -> Duration {
        self.last().elapsed()
    }

    /// Beats once. Call it at the top of the loop.
    pub async fn beat(&self) {
        #[cfg(debug_assertions)]
        hang::while_requested(self.0.name).await;
        *self.last() = Instant::now();
    }

    /// Waits until the next beat is due. Use it as a branch of a `select!`, and beat after it.
    pub async fn pause(&self) {
        sleep(self.0.every).await;
    }

    /// Waits for a future that may take long, and beats meanwhile.
    pub async fn while_waiting<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            self.beat().await;
            tokio::select! {
                output = &mut future => return output,
                () = self.pause() => {}
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault for tests: the loop that a file names hangs until the file changes.
///
/// Release builds do not contain it.
#[cfg(debug_assertions)]
pub mod hang {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::time::Duration;

    use tokio::time::sleep;

    static FILE: OnceLock<PathBuf> = OnceLock::new();

    /// Makes the loop hang whose name is the content of the file.
    pub fn follow_file(file: PathBuf) {
        // A second file is a mistake of the test, which then sees no loop hang.
        let _ = FILE.set(file);
    }

    pub(in crate::heartbeat) async fn while_requested(name: &str) {
        let Some(file) = FILE.get() else {
            return;
        };
        while fs::read_to_string(file).is_ok_and(|content| content.trim() == name) {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_rests_beats_by_the_clock_and_one_that_hangs_does_not() {
        let heartbeat = Heartbeat::new("test", EVERY);
        heartbeat.while_waiting(sleep(EVERY * 10)).await;
        let rested = heartbeat.silence();
        assert!(rested <= EVERY);
        sleep(EVERY * 10).await;
        assert!(heartbeat.silence() >= rested + EVERY * 10);
        heartbeat.beat().await;
        assert_eq!(heartbeat.silence(), Duration::ZERO);
    }
}
