//! The input and the result of a run.

use std::sync::Arc;

use tokio::time::Instant;

use crate::daemon::context::Context;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::Snapshot;
use crate::domain::recipients::{Address, Person};
use crate::domain::request::{RequestId, ResourceNames};
use crate::msteams::Teams;

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
    /// The requester in Microsoft's directory; several people if the addresses of the user lead to them.
    pub(super) requester: Vec<Person>,
}

impl Known {
    /// Returns whether an address belongs to the requester, under whatever name; false if that is not known.
    pub(super) fn is_requester(&self, address: &Address, teams: &Teams) -> bool {
        let is_same = |person: Person| {
            let mut requesters = self.requester.iter();
            requesters.any(|requester| requester.id.eq_ignore_ascii_case(&person.id))
        };
        !self.requester.is_empty() && teams.known_person(address).is_some_and(is_same)
    }
}

/// How a run ended.
pub(super) struct Delivered {
    pub(super) known: Snapshot,
    /// A new plan is needed immediately.
    pub(super) interrupted: bool,
    /// When a delivery is due again.
    pub(super) retry_at: Option<Instant>,
}
