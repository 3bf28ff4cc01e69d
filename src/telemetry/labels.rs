//! What metrics are told apart by.

/// What became of one card for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Posted,
    Updated,
    /// For good: there is no such user, or they blocked the app.
    Refused,
    /// It is retried.
    Deferred,
}

/// Whom a card is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    Reviewers,
}

/// What a card tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A request that waits for reviews.
    Announcement,
    /// A review that does not decide.
    Review,
    /// The end of a request, in whatever way.
    Resolution,
}

/// Somebody that the program asks for things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Login,
    Graph,
    Bot,
    Teleport,
}

impl Delivery {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Updated => "updated",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
        }
    }
}

impl Audience {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Reviewers => "reviewers",
        }
    }
}

impl DeliveryKind {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Announcement => "announcement",
            Self::Review => "review",
            Self::Resolution => "resolution",
        }
    }
}

impl Peer {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Graph => "graph",
            Self::Bot => "bot",
            Self::Teleport => "teleport",
        }
    }
}
