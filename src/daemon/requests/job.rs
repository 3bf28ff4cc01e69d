//! The input and the result of a run.

use std::sync::Arc;

use tokio::time::Instant;

use crate::daemon::context::Context;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::Snapshot;
use crate::domain::request::RequestId;

/// The input of a run.
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    pub(super) id: &'a RequestId,
    /// The settings of the plan.
    pub(super) live: Arc<InForce>,
    /// When a delivery that the plan omits is due.
    pub(super) retry_at: Option<Instant>,
}

/// How a run ended.
pub(super) struct Delivered {
    pub(super) known: Snapshot,
    /// A new plan is needed immediately.
    pub(super) interrupted: bool,
    /// When a delivery is due again.
    pub(super) retry_at: Option<Instant>,
}
