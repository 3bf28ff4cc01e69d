//! The reader of a card.

use crate::domain::recipients::{Address, Person, Reason};

/// What a reader has to do with the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Can review it.
    #[default]
    Reviewer,
    /// Made it.
    Requester,
}

/// Where a card is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In the chat of the app with one person.
    #[default]
    Personal,
    Channel,
    /// In a group chat, or the chat of a meeting.
    GroupChat,
}

/// The reader of a card: one person, or everyone in a channel or a group chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    pub role: Role,
    pub place: Place,
    /// Why the reader is notified, if it is known.
    pub reason: Option<Reason>,
    /// The other recipients by name, in order.
    pub others: Vec<String>,
    /// The number of further recipients.
    pub more_others: usize,
    /// The people that a card in a channel or a group chat mentions.
    pub mentions: Vec<Person>,
}

impl Place {
    /// Returns where the cards of a recipient are read.
    pub fn of(address: &Address) -> Self {
        if address.is_channel() {
            Self::Channel
        } else if address.chat().is_some() {
            Self::GroupChat
        } else {
            Self::Personal
        }
    }

    /// Returns whether several people read the card.
    pub fn is_shared(self) -> bool {
        self != Self::Personal
    }
}

impl Reader {
    /// The number of other recipients that a card names; the rest is counted.
    pub const NAMED_OTHERS: usize = 5;
}
