//! Which audience of an Access Request gets a card, and when.

use crate::domain::lifecycle::Shown;
use crate::domain::recipients::Address;
use crate::domain::request::Stage;

/// The audience of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Audience {
    /// The reviewers of the request.
    Reviewers,
}

/// The recipient and audience of a card.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub audience: Audience,
    pub address: Address,
}

/// A recipient of an audience, as the record writes it. Cards, refusals and retries of two audiences are independent, even
/// if the recipient is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipient {
    pub audience: Audience,
    pub name: String,
}

/// The kind of news that a delivery carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A request that waits for reviews.
    Announcement,
    /// A review that does not resolve the request.
    Review,
    /// The request was resolved or has expired.
    Resolution,
}

/// What an audience gets at a stage of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Recipients without a card get one.
    pub posts: bool,
    /// Existing cards are updated.
    pub updates: bool,
}

/// Returns what an audience gets. `over` means that the request has expired, whatever its stage.
///
/// Reviewers get a card while they can review, and the card then shows the result.
pub fn due(audience: Audience, stage: Stage, over: bool) -> Due {
    match audience {
        Audience::Reviewers => Due {
            posts: stage.is_open() && !over,
            updates: stage != Stage::Unknown,
        },
    }
}

impl Target {
    /// Returns the target for a reviewer.
    pub fn reviewer(address: Address) -> Self {
        Self {
            audience: Audience::Reviewers,
            address,
        }
    }

    /// Returns the recipient as the record writes it.
    pub fn recipient(&self) -> Recipient {
        Recipient {
            audience: self.audience,
            name: self.address.as_str().to_owned(),
        }
    }
}

impl Recipient {
    /// Returns a reviewer.
    pub fn reviewer(name: impl Into<String>) -> Self {
        Self {
            audience: Audience::Reviewers,
            name: name.into(),
        }
    }
}

impl Audience {
    /// Every audience.
    pub const ALL: [Self; 1] = [Self::Reviewers];
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 3] = [Self::Announcement, Self::Review, Self::Resolution];

    /// Returns the kind of news that an update of a card to this carries.
    pub fn of_update(shown: Shown) -> Self {
        if shown.stage.is_resolved() {
            Self::Resolution
        } else {
            Self::Review
        }
    }
}
