//! What a card is drawn from besides the request, and how much of it is shown.

use jiff::Timestamp;

use crate::domain::card::{CardCluster, Reader};
use crate::domain::request::{RequestId, ResourceNames, Stage};
use crate::domain::review::ReasonRule;

/// The recorded facts of a request that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub id: RequestId,
    pub user: String,
    /// Joined with `,`.
    pub roles: String,
    pub reason: String,
    pub reviews: usize,
    pub stage: Stage,
    pub resolve_reason: String,
}

/// What a card shows besides the request.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub cluster: &'a CardCluster,
    pub names: &'a ResourceNames,
    pub reader: &'a Reader,
    pub now: Timestamp,
    /// When a review needs a reason; `None` draws no buttons for reviews.
    pub reviews: Option<ReasonRule>,
}

/// How much of everything is shown; all counts are of characters or entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    pub(super) name: usize,
    pub(super) reason: usize,
    pub(super) review_reason: usize,
    pub(super) roles: usize,
    pub(super) resources: usize,
    pub(super) reviews: usize,
}

impl Detail {
    /// An upper bound on what a reviewer reads.
    pub(super) const FULL: Self = Self {
        name: 200,
        reason: 2_000,
        review_reason: 500,
        roles: 50,
        resources: 50,
        reviews: 15,
    };

    /// Shows about two thirds of that; no step goes below one.
    pub(super) fn less(self) -> Self {
        let less = |count: usize| (count * 2 / 3).max(1);
        Self {
            name: less(self.name),
            reason: less(self.reason),
            review_reason: less(self.review_reason),
            roles: less(self.roles),
            resources: less(self.resources),
            reviews: less(self.reviews),
        }
    }
}

impl Remembered {
    pub(super) fn role_names(&self) -> Vec<&str> {
        self.roles.split(',').filter(|name| !name.is_empty()).collect()
    }
}
