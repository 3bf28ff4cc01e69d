//! What a run is given, and what it leaves.

use std::sync::Arc;

use tokio::time::Instant;

use crate::daemon::context::Context;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::Snapshot;
use crate::domain::request::RequestId;

/// What a run is about.
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    pub(super) id: &'a RequestId,
    /// The settings that the plan was made with.
    pub(super) live: Arc<InForce>,
    /// When a delivery is due that the plan leaves out.
    pub(super) retry_at: Option<Instant>,
}

/// How a run ended.
pub(super) struct Delivered {
    pub(super) known: Snapshot,
    /// A plan has to be made again immediately.
    pub(super) interrupted: bool,
    /// When a delivery is due again.
    pub(super) retry_at: Option<Instant>,
}
