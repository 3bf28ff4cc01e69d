//! The input and the result of a run.

use std::sync::Arc;

use tokio::time::Instant;

use crate::daemon::context::Context;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::Snapshot;
use crate::domain::recipients::Person;
use crate::domain::request::{RequestId, ResourceNames};

/// The input of a run.
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    pub(super) id: &'a RequestId,
    /// The settings of the plan.
    pub(super) live: Arc<InForce>,
    /// When a delivery that the plan omits is due.
    pub(super) retry_at: Option<Instant>,
    pub(super) known: Known,
}

/// What a run knows besides the request and its record.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) names: Arc<ResourceNames>,
    /// The requester in Microsoft's directory.
    pub(super) requester: Option<Person>,
}

/// How a run ended.
pub(super) struct Delivered {
    pub(super) known: Snapshot,
    /// A new plan is needed immediately.
    pub(super) interrupted: bool,
    /// When a delivery is due again.
    pub(super) retry_at: Option<Instant>,
}
