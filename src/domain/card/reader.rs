//! The reader of a card.

use crate::domain::recipients::{Person, Reason};

/// What a reader has to do with the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Can review it.
    #[default]
    Reviewer,
    /// Made it.
    Requester,
}

/// The reader of a card: one person, or everyone in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    pub role: Role,
    pub is_channel: bool,
    /// Why the reader is notified, if it is known.
    pub reason: Option<Reason>,
    /// The other recipients by name, in order.
    pub others: Vec<String>,
    /// The number of further recipients.
    pub more_others: usize,
    /// The people that a card in a channel mentions.
    pub mentions: Vec<Person>,
}

impl Reader {
    /// The number of other recipients that a card names; the rest is counted.
    pub const NAMED_OTHERS: usize = 5;
}
