//! Observations of a request that arrive while a job works on it.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::daemon::requests::lane::LaneTable;
use crate::daemon::requests::waiting::Waiting;
use crate::domain::lifecycle::Observed;
use crate::domain::request::RequestId;

/// The observations that arrive while a request is worked on.
pub(super) struct News<'a> {
    table: &'a LaneTable,
    stopping: &'a CancellationToken,
    id: &'a RequestId,
    changed: CancellationToken,
}

impl<'a> News<'a> {
    /// `changed` is cancelled when a newer observation arrives, and is a child of `stopping`.
    pub(super) fn new(
        table: &'a LaneTable,
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

    /// Returns whether there is a newer observation, or the daemon stops.
    pub(super) fn is_changed(&self) -> bool {
        self.changed.is_cancelled()
    }

    /// Waits for a newer observation, or until the daemon stops.
    pub(super) async fn heard(&self) {
        self.changed.cancelled().await;
    }

    /// Counts the wait of the recipients from now on, because the announcement is held.
    pub(super) fn hold(&self) {
        let mut table = self.table.lock();
        if let Some(lane) = table.lanes.get_mut(self.id) {
            lane.waiting = lane.waiting.map(|waiting| waiting.not_before(Instant::now()));
        }
    }

    /// Returns whether the daemon stops.
    pub(super) fn is_over(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Takes the newest observation, and when it was received.
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

    /// Returns the token that is cancelled when a newer observation arrives.
    pub(super) fn into_changed(self) -> CancellationToken {
        self.changed
    }
}
