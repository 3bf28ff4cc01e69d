//! Where a request stands.

use std::fmt;

/// The stage of a request, read from its state and never from a transition: Teleport lets an approved request be
/// denied later, and the first event of a request may already be its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waits for reviews.
    Pending,
    Approved,
    Denied,
    /// Turned into a membership of an access list.
    Promoted,
    /// Ended, or was deleted, before anybody decided it.
    Expired,
    /// A state that this version does not know; its cards are left alone.
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

    /// Returns the word of the card and of the plugin data, such as `APPROVED`.
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

    /// Reads what [`Stage::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::SHOWN.into_iter().find(|stage| stage.as_str() == word)
    }

    /// Tells whether the request waits for reviews, as far as this version knows.
    pub fn is_open(self) -> bool {
        self == Self::Pending
    }

    /// Tells whether the request is decided or over.
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
