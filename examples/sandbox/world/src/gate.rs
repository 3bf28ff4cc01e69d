//! A gate that holds calls until a test opens it, so that calls stay in flight for as long as the test needs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long a test waits for an expected event.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gate, closed at first. Clones share it. A caller that leaves while it waits never passes.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    arrived: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Inner {
            arrived: watch::Sender::new(0),
            open: watch::Sender::new(false),
        }))
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gate {}

impl Gate {
    /// Lets every call pass, now and later.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Returns the number of calls that have arrived.
    pub fn arrived(&self) -> usize {
        *self.0.arrived.borrow()
    }

    /// Waits until this many calls have arrived.
    ///
    /// # Panics
    /// If they do not arrive in time.
    pub async fn reached(&self, calls: usize) {
        let mut arrived = self.0.arrived.subscribe();
        let waited = timeout(PATIENCE, arrived.wait_for(|arrived| *arrived >= calls)).await;
        assert!(
            waited.is_ok(),
            "{} of {calls} calls arrived at the gate",
            self.arrived()
        );
    }

    /// Arrives at the gate, and waits until it is open.
    pub(super) async fn pass(&self) {
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        let mut open = self.0.open.subscribe();
        // The sender lives as long as this handle.
        let _ = open.wait_for(|open| *open).await;
    }
}
