//! Which audience of an access request gets a card, and when.

use crate::domain::lifecycle::Shown;
use crate::domain::recipients::Address;
use crate::domain::request::Stage;

/// Whom a card is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Audience {
    /// The people who may review the request.
    Reviewers,
}

/// Where a card of an audience is to be.
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

/// What a delivery tells its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A request that waits for reviews.
    Announcement,
    /// A review that does not decide.
    Review,
    /// The end of a request, in whatever way.
    Resolution,
}

/// What an audience gets at a stage of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Those without a card get one.
    pub posts: bool,
    /// The cards that are there are updated.
    pub updates: bool,
}

/// Returns what an audience gets. `over` says that the end of the request has passed, whatever its stage.
///
/// Reviewers get a card while they can review, and see how it ended.
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

    /// Returns what the update of a card to this tells.
    pub fn of_update(shown: Shown) -> Self {
        if shown.stage.is_resolved() {
            Self::Resolution
        } else {
            Self::Review
        }
    }
}
