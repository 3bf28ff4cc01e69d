//! What is heard of a request while a job works on it.

use tokio_util::sync::CancellationToken;

use crate::daemon::requests::lane::SharedTable;
use crate::daemon::requests::waiting::Waiting;
use crate::domain::lifecycle::Observed;
use crate::domain::request::RequestId;

/// What is heard of a request while it is worked on.
pub(super) struct News<'a> {
    table: &'a SharedTable,
    stopping: &'a CancellationToken,
    id: &'a RequestId,
    changed: CancellationToken,
}

impl<'a> News<'a> {
    /// `changed` is cancelled when something newer comes, and is a child of `stopping`.
    pub(super) fn new(
        table: &'a SharedTable,
        stopping: &'a CancellationToken,
        id: &'a RequestId,
        changed: CancellationToken,
    ) -> Self {
        Self {
            table,
            stopping,
            id,
            changed,
        }
    }

    /// Tells whether there is something newer, or the daemon stops.
    pub(super) fn is_changed(&self) -> bool {
        self.changed.is_cancelled()
    }

    /// Waits until there is something newer, or the daemon stops.
    pub(super) async fn heard(&self) {
        self.changed.cancelled().await;
    }

    /// Tells whether the daemon stops.
    pub(super) fn is_over(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Takes the newest observation, and since when people wait for it.
    pub(super) fn take(&mut self) -> Option<(Observed, Option<Waiting>)> {
        if !self.changed.is_cancelled() {
            return None;
        }
        let mut table = self.table.lock();
        let lane = table.lanes.get_mut(self.id)?;
        let observed = lane.newest.take()?;
        lane.changed = self.stopping.child_token();
        self.changed = lane.changed.clone();
        Some((observed, lane.waiting))
    }

    /// Returns what is cancelled when something newer comes.
    pub(super) fn into_changed(self) -> CancellationToken {
        self.changed
    }
}
