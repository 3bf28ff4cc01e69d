//! Which audience of an Access Request gets a card, and when.

use crate::domain::lifecycle::Shown;
use crate::domain::recipients::Address;
use crate::domain::request::Stage;

/// The audience of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Audience {
    /// The reviewers of the request.
    Reviewers,
    /// Further reviewers of a request that was still pending after some time.
    Escalation,
    /// The requester, with a card that shows the state of the request.
    Requester,
    /// The requester, with a new message for the decision, because an update of a card is not noticed.
    Decision,
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
/// Reviewers and the requester get a card while the request can be reviewed, and the card then shows the result. The
/// requester also gets a message for the decision; a request that expires without one only changes the card.
pub fn due(audience: Audience, stage: Stage, over: bool) -> Due {
    match audience {
        Audience::Reviewers | Audience::Escalation | Audience::Requester => Due {
            posts: stage.is_open() && !over,
            updates: stage != Stage::Unknown,
        },
        Audience::Decision => {
            let is_decided = stage.is_resolved() && stage != Stage::Expired;
            Due {
                posts: is_decided && !over,
                updates: is_decided,
            }
        }
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

    /// Returns the target for an address of an audience.
    pub fn new(audience: Audience, address: Address) -> Self {
        Self { audience, address }
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
    pub const ALL: [Self; 4] = [Self::Reviewers, Self::Escalation, Self::Requester, Self::Decision];

    /// Returns whether the audience is asked to review the request.
    pub fn reviews(self) -> bool {
        matches!(self, Self::Reviewers | Self::Escalation)
    }

    /// Returns the word for plugin data and metrics, such as `requester`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reviewers => "reviewers",
            Self::Escalation => "escalation",
            Self::Requester => "requester",
            Self::Decision => "decision",
        }
    }

    /// Parses the result of [`Audience::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|audience| audience.as_str() == word)
    }
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 3] = [Self::Announcement, Self::Review, Self::Resolution];

    /// Returns the kind of news that a new card for an audience carries.
    pub fn of_post(audience: Audience) -> Self {
        match audience {
            Audience::Decision => Self::Resolution,
            Audience::Reviewers | Audience::Escalation | Audience::Requester => Self::Announcement,
        }
    }

    /// Returns the kind of news that an update of a card to this carries.
    pub fn of_update(shown: Shown) -> Self {
        if shown.stage.is_resolved() {
            Self::Resolution
        } else {
            Self::Review
        }
    }
}
