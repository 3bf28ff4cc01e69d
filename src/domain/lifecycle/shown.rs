//! What a card shows, as far as it can change.

use std::fmt;

use crate::domain::lifecycle::Fingerprint;
use crate::domain::request::{AccessRequest, Stage};

/// The parts of a card that can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    pub stage: Stage,
    pub reviews: usize,
    pub facts: Fingerprint,
}

impl Shown {
    /// Returns what a card shows of which the other facts are unknown.
    pub const fn new(stage: Stage, reviews: usize) -> Self {
        Self {
            stage,
            reviews,
            facts: Fingerprint::Unknown,
        }
    }

    /// Returns what a card of this request must show.
    pub fn of(request: &AccessRequest) -> Self {
        Self {
            facts: Fingerprint::of(request),
            ..Self::new(request.stage, request.reviews.len())
        }
    }

    /// Returns whether a card that shows this needs no update to show the other. The number of reviews does not matter on a
    /// resolved card, because the Go plugin does not update it on resolution.
    pub fn satisfies(self, wanted: Self) -> bool {
        let same_reviews = self.stage.is_resolved() || self.reviews == wanted.reviews;
        self.stage == wanted.stage && same_reviews && self.facts.satisfies(wanted.facts)
    }

    /// Returns whether both are the same state, as far as the facts are known.
    pub(super) fn is_same(self, other: Self) -> bool {
        (self.stage, self.reviews) == (other.stage, other.reviews) && self.facts.satisfies(other.facts)
    }

    /// Returns the earlier of two states, for a card that two replicas updated in unknown order. If the card shows the later
    /// one, an extra update follows.
    #[must_use]
    pub fn lower_bound(self, other: Self) -> Self {
        if self == other || other.is_ahead_of(self) {
            self
        } else if self.is_ahead_of(other) {
            other
        } else {
            Self {
                facts: Fingerprint::Mixed,
                ..Self::new(Stage::Pending, self.reviews.min(other.reviews))
            }
        }
    }

    /// Returns whether this is a later state of a request. Of two resolutions, the one with more reviews is later, because
    /// reviews are never withdrawn; with equal numbers, the order is unknown.
    pub fn is_ahead_of(self, other: Self) -> bool {
        let rank = |shown: Self| (shown.stage.is_resolved(), shown.reviews);
        rank(self) > rank(other)
    }
}

impl fmt::Display for Shown {
    /// Writes the stage and the number of reviews; the facts are stored separately.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stage, self.reviews)
    }
}
