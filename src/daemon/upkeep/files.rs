//! Follows files that can be replaced while the daemon runs.

use std::time::Duration;

use tokio::time::sleep;

use crate::blocking::apart;
use crate::heartbeat::Heartbeat;

/// Reads files regularly. A failure that lasts is reported once.
pub(in crate::daemon) struct FileFollower {
    every: Duration,
    reported: bool,
}

impl FileFollower {
    /// Creates a follower that reads at this interval.
    pub(in crate::daemon) fn new(every: Duration) -> Self {
        Self { every, reported: false }
    }

    /// Waits until a read returns something new, or fails for the first time in a row. A read that fails changes nothing.
    ///
    /// # Errors
    /// The error of the read.
    pub(in crate::daemon) async fn next<T, E>(
        &mut self,
        heartbeat: &Heartbeat,
        read: impl Fn() -> Result<Option<T>, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        loop {
            heartbeat.while_waiting(sleep(self.every)).await;
            match heartbeat.while_waiting(apart(read.clone())).await {
                Ok(None) => self.reported = false,
                Ok(Some(new)) => {
                    self.reported = false;
                    return Ok(new);
                }
                Err(error) if !self.reported => {
                    self.reported = true;
                    return Err(error);
                }
                Err(_) => {}
            }
        }
    }

    /// Reports the next failure again, because the files are others now.
    pub(in crate::daemon) fn reset(&mut self) {
        self.reported = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_lasts_is_reported_once_and_again_after_a_success() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&reads);
        let read = move || match counter.fetch_add(1, Ordering::Relaxed) {
            0 | 4 => Ok(None),
            3 => Ok(Some("new")),
            _ => Err("broken"),
        };
        let heartbeat = Heartbeat::new("files", Duration::from_secs(1));
        let mut follower = FileFollower::new(Duration::from_secs(10));
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            let outcome = follower.next(&heartbeat, read.clone()).await;
            outcomes.push((outcome, reads.load(Ordering::Relaxed)));
        }
        assert_eq!(outcomes, [(Err("broken"), 2), (Ok("new"), 4), (Err("broken"), 6)]);
    }
}
