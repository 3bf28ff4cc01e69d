//! The only place that spawns tasks.
//!
//! A service that ends, or a task that panics, ends the program with an error: a daemon that looks healthy and does
//! nothing is worse than a restart.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use tracing::debug_span;

/// The tasks of one daemon.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    failed: CancellationToken,
    failure: Arc<Mutex<Option<&'static str>>>,
}

impl Tasks {
    pub(super) fn new(stopping: CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stopping,
            failed: CancellationToken::new(),
            failure: Arc::default(),
        }
    }

    /// Runs a service, which must not end before the daemon; it is dropped when the daemon stops.
    pub(super) fn service<F: Future + Send + 'static>(&self, name: &'static str, future: F) {
        let tasks = self.clone();
        self.spawn(name, async move {
            tokio::select! {
                () = tasks.stopping.cancelled() => {}
                _ = future => tasks.fail(name),
            }
        });
    }

    /// Runs a task that ends by itself; a shutdown waits for it.
    pub(super) fn must_finish(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn(name, future);
    }

    /// Runs a task that ends by itself, and is dropped when the daemon stops.
    pub(super) fn background(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.spawn(name, async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = future => {}
            }
        });
    }

    /// Waits until a task fails, and returns its name.
    pub(super) async fn failed(&self) -> &'static str {
        self.failed.cancelled().await;
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.unwrap_or("unknown")
    }

    /// Waits until every task has ended.
    pub(super) async fn drained(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let span = debug_span!(parent: None, "task", task.name = name);
        self.tracker.spawn(self.guarded(name, future).instrument(span));
    }

    /// Returns a future that reports a panic as a failure. An `async` block would reserve memory for `future` twice, because it
    /// would move it.
    fn guarded<F: Future<Output = ()>>(&self, name: &'static str, future: F) -> impl Future<Output = ()> + use<F> {
        let tasks = self.clone();
        AssertUnwindSafe(future).catch_unwind().map(move |ended| {
            if ended.is_err() {
                tasks.fail(name);
            }
        })
    }

    fn fail(&self, name: &'static str) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(name);
        self.failed.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_ends_and_a_job_that_panics_are_reported() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.must_finish("good", async {});
        tasks.service("short", async {});
        assert_eq!(tasks.failed().await, "short");

        let tasks = Tasks::new(CancellationToken::new());
        tasks.must_finish("broken", async { panic!("on purpose") });
        assert_eq!(tasks.failed().await, "broken");
        tasks.drained().await;
    }

    #[test]
    fn a_task_reserves_memory_for_its_future_once() {
        let large = [0_u8; 4_096];
        let future = async move {
            std::future::ready(()).await;
            std::hint::black_box(&large);
        };
        let size = size_of_val(&future);
        let guarded = Tasks::new(CancellationToken::new()).guarded("large", future);
        assert!(size >= 4_096 && size_of_val(&guarded) < size + 1_024, "{size}");
    }

    #[tokio::test]
    async fn a_stop_drops_services_and_background_tasks_and_waits_for_the_others() {
        let stopping = CancellationToken::new();
        let tasks = Tasks::new(stopping.clone());
        tasks.background("unfinished", std::future::pending());
        let (sender, done) = tokio::sync::oneshot::channel();
        tasks.service("endless", std::future::pending::<()>());
        let until = stopping.clone();
        tasks.must_finish("last words", async move {
            until.cancelled().await;
            sender.send("said").unwrap();
        });
        stopping.cancel();
        tasks.drained().await;
        assert_eq!(done.await, Ok("said"));
    }
}
