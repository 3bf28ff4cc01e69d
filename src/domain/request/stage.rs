//! The stage of a request.

use std::fmt;

/// The stage of a request, derived from its state and never from a transition: in Teleport, an approved request can be
/// denied later, and the first event of a request can also be its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The request waits for reviews.
    Pending,
    Approved,
    Denied,
    /// The request became a membership of an access list.
    Promoted,
    /// The request expired or was deleted before it was resolved.
    Expired,
    /// A state that this version does not know; cards of such requests are not changed.
    Unknown,
}

impl Stage {
    /// Every stage that a card can show.
    pub const SHOWN: [Self; 5] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Promoted,
        Self::Expired,
    ];

    /// Returns the word for cards and plugin data, such as `APPROVED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Denied => "DENIED",
            Self::Promoted => "PROMOTED",
            Self::Expired => "EXPIRED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Parses the result of [`Stage::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::SHOWN.into_iter().find(|stage| stage.as_str() == word)
    }

    /// Returns whether the request waits for reviews, as far as this version knows.
    pub fn is_open(self) -> bool {
        self == Self::Pending
    }

    /// Returns whether the request is resolved or has expired.
    pub fn is_resolved(self) -> bool {
        match self {
            Self::Approved | Self::Denied | Self::Promoted | Self::Expired => true,
            Self::Pending | Self::Unknown => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
