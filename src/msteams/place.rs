//! Where messages are posted.

use crate::domain::recipients::Person;

/// A conversation to post to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    pub id: String,
    pub kind: ConversationKind,
    /// The user; `None` for a channel or a group chat.
    pub person: Option<Person>,
}

/// An installation of the app at an address, with its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledAt {
    /// The id of the app's installation; unknown for a group chat, and where Graph of the cloud does not show it.
    pub installation: Option<String>,
    pub conversation: Conversation,
    /// The web link, if Microsoft returned one.
    pub web_url: Option<String>,
}

/// Whether the app is installed at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppStatus {
    /// `version` is `None` where Graph does not show it.
    Installed {
        version: Option<String>,
    },
    Absent,
    /// Only a post shows it.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConversationKind {
    /// The app's chat with one user.
    User,
    Channel,
    /// A group chat, or the chat of a meeting.
    GroupChat,
}

impl ConversationKind {
    /// Returns the name for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Channel => "channel",
            Self::GroupChat => "chat",
        }
    }
}

impl Conversation {
    /// Returns the app's chat with a user.
    pub(crate) fn with_user(id: String) -> Self {
        Self {
            id,
            kind: ConversationKind::User,
            person: None,
        }
    }

    pub(crate) fn shared(id: &str, kind: ConversationKind) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            person: None,
        }
    }
}
