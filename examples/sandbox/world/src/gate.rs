//! A place where calls wait until somebody lets them go on: what is on its way stays there for as long as a test needs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gate, shut at first; clones are the same one. Who goes away while waiting has never come through.
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
    /// Lets everybody go on, those who wait and those who come later.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Returns how many have come so far.
    pub fn arrived(&self) -> usize {
        *self.0.arrived.borrow()
    }

    /// Waits until so many have come.
    ///
    /// # Panics
    /// If they do not come in time.
    pub async fn reached(&self, calls: usize) {
        let mut arrived = self.0.arrived.subscribe();
        let waited = timeout(PATIENCE, arrived.wait_for(|arrived| *arrived >= calls)).await;
        assert!(waited.is_ok(), "{} of {calls} calls came to the gate", self.arrived());
    }

    /// Comes to the gate, and goes on when it is open.
    pub(super) async fn pass(&self) {
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        let mut open = self.0.open.subscribe();
        // The sender lives as long as this handle.
        let _ = open.wait_for(|open| *open).await;
    }
}
