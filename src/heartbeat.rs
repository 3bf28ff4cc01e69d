//! The heartbeats of the loops that do the work.
//!
//! A loop beats in each round. Where it may rightly wait for long, it beats by the clock meanwhile: silence then
//! means that it hangs somewhere in between, and not that there is nothing to do.
//!
//! Architecture Invariant: knows nothing of the program, and decides nothing; who listens is somebody else's business.

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
    /// A loop with this name, which beats at least so often while it waits.
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

    /// Returns how long ago the last beat was.
    pub fn silence(&self) -> Duration {
        self.last().elapsed()
    }

    /// Beats once. It belongs at the top of the loop.
    pub async fn beat(&self) {
        #[cfg(debug_assertions)]
        hang::if_told(self.0.name).await;
        *self.last() = Instant::now();
    }

    /// Waits until the next beat is due. It belongs beside what a loop waits for in a `select!`; the loop has to beat after it.
    pub async fn pause(&self) {
        sleep(self.0.every).await;
    }

    /// Waits for something that may take long, and beats meanwhile.
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

/// A fault for tests: loops that a file names hang until it names them no more.
///
/// It is not part of a release build, so nothing in the environment of a machine in production can reach it.
#[cfg(debug_assertions)]
pub mod hang {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::time::Duration;

    use tokio::time::sleep;

    static TOLD_IN: OnceLock<PathBuf> = OnceLock::new();

    /// Lets each loop of this process hang whose name is the whole text of the file.
    pub fn as_told_in(file: PathBuf) {
        // A second file would be a mistake of the test, which then sees no loop hang.
        let _ = TOLD_IN.set(file);
    }

    pub(in crate::heartbeat) async fn if_told(name: &str) {
        let Some(file) = TOLD_IN.get() else {
            return;
        };
        while fs::read_to_string(file).is_ok_and(|told| told.trim() == name) {
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
