//! Delivers a message to an address: finds the conversation and installs the app where needed.
//!
//! Architecture Invariant: knows no record, request or job. The sender decides what a failure means.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::recipients::Address;
use crate::msteams::{Activity, Conversation, Error, Meaning, Priority, Retry, Teams, thread_of};

/// Posts and updates messages.
#[derive(Clone, Copy)]
pub struct Courier<'a> {
    teams: &'a Teams,
    priority: &'a Priority,
    /// Cancelled to stop new calls.
    halt: &'a CancellationToken,
}

/// The place of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub conversation: String,
    /// Microsoft's ID of the message.
    pub activity: String,
}

/// Why a message was not delivered.
#[derive(Debug)]
pub enum Undelivered {
    /// Not started: the courier was halted.
    NotBegun,
    /// Microsoft does not find the message to update or to reply to in this conversation, which is the current one of the
    /// address.
    Gone(Error, String),
    /// It can be retried, at the earliest after the pause that Microsoft requested.
    Later(Error, Option<Duration>),
    /// Microsoft did not confirm it; the message may have been posted.
    Unconfirmed(Error),
    /// The message was posted in this conversation, but Microsoft did not return its ID, so it cannot be updated.
    Nameless(Error, String),
    /// Microsoft rejected it.
    Refused(Error),
}

impl<'a> Courier<'a> {
    pub fn new(teams: &'a Teams, priority: &'a Priority, halt: &'a CancellationToken) -> Self {
        Self { teams, priority, halt }
    }

    /// Finds the conversation of an address; installs the app for a user who does not have it.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn find(self, address: &Address) -> Result<String, Undelivered> {
        self.found(self.teams.resolve(address, self.priority)).await
    }

    /// Finds the conversation of an address under the name that Graph has for it, under which the Go plugin posts.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn find_as_in_graph(self, address: &Address) -> Result<String, Undelivered> {
        self.found(self.teams.resolve_in_graph(address, self.priority)).await
    }

    /// Posts a message to the conversation of an address. If the app or the conversation no longer exists, finds it
    /// again and retries once.
    ///
    /// # Errors
    /// Every variant except [`Gone`](Undelivered::Gone).
    pub async fn post(
        self,
        address: &Address,
        conversation: String,
        activity: &Activity,
    ) -> Result<Placed, Undelivered> {
        match self.send(conversation, activity).await {
            Err(Attempt::Elsewhere(_)) => {
                let conversation = self.find_anew(address).await?;
                Ok(self.send(conversation, activity).await?)
            }
            sent => Ok(sent?),
        }
    }

    /// Posts a message to a known conversation.
    ///
    /// # Errors
    /// Every variant except [`Gone`](Undelivered::Gone).
    pub async fn post_in(self, conversation: String, activity: &Activity) -> Result<Placed, Undelivered> {
        Ok(self.send(conversation, activity).await?)
    }

    /// Updates a message. If its conversation no longer exists, finds the conversation of the address and retries
    /// once. Returns the place of the message.
    ///
    /// # Errors
    /// Every variant except [`Nameless`](Undelivered::Nameless).
    pub async fn update(
        self,
        address: Option<&Address>,
        placed: Placed,
        activity: &Activity,
    ) -> Result<Placed, Undelivered> {
        let Placed {
            conversation,
            activity: id,
        } = placed;
        match (self.edit(conversation, id.clone(), activity).await, address) {
            (Err(Attempt::Elsewhere(_)), Some(address)) => {
                let conversation = self.find_anew(address).await?;
                Ok(self.edit(conversation, id, activity).await?)
            }
            (updated, _) => Ok(updated?),
        }
    }

    /// Replies to a message in a channel, in its thread. Chats with people have no threads.
    ///
    /// # Errors
    /// Every variant.
    pub async fn reply(self, placed: &Placed, activity: &Activity) -> Result<Placed, Undelivered> {
        let thread = thread_of(&placed.conversation, &placed.activity);
        match self.send(thread.clone(), activity).await {
            // A thread is known only by its first message, so the channel may exist.
            Err(Attempt::Elsewhere(error)) if error.meaning() == Meaning::NotFound => {
                Err(Undelivered::Gone(error, thread))
            }
            Err(Attempt::Failed(Undelivered::Refused(error))) if error.meaning() == Meaning::Gone => {
                Err(Undelivered::Gone(error, thread))
            }
            sent => Ok(sent?),
        }
    }

    async fn send(self, conversation: String, activity: &Activity) -> Result<Placed, Attempt> {
        let sent = self.teams.post(&conversation, activity, self.priority, self.halt).await;
        match sent {
            Ok(activity) => Ok(Placed { conversation, activity }),
            Err(error) if error.meaning() == Meaning::Delivered => {
                Err(Attempt::Failed(Undelivered::Nameless(error, conversation)))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn edit(self, conversation: String, id: String, activity: &Activity) -> Result<Placed, Attempt> {
        let edit = self
            .teams
            .update(&conversation, &id, activity, self.priority, self.halt);
        match edit.await {
            Ok(()) => Ok(Placed {
                conversation,
                activity: id,
            }),
            Err(error) if error.meaning() == Meaning::Gone => {
                Err(Attempt::Failed(Undelivered::Gone(error, conversation)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Finds a conversation again, which installs the app where it is missing.
    async fn find_anew(self, address: &Address) -> Result<String, Undelivered> {
        self.found(self.teams.resolve_again(address, self.priority)).await
    }

    async fn found(self, find: impl Future<Output = Result<Conversation, Error>>) -> Result<String, Undelivered> {
        tokio::select! {
            () = self.halt.cancelled() => Err(Undelivered::NotBegun),
            found = find => match found {
                Ok(conversation) => Ok(conversation.id),
                Err(error) => Err(error.into()),
            },
        }
    }
}

impl Undelivered {
    /// Returns whether a post failed and the message exists or may exist.
    pub fn may_have_posted(&self) -> bool {
        matches!(self, Self::Unconfirmed(_) | Self::Nameless(..))
    }

    /// Returns Microsoft's reason, or `None` if the delivery did not start.
    pub fn into_error(self) -> Option<Error> {
        match self {
            Self::NotBegun => None,
            Self::Gone(error, _)
            | Self::Later(error, _)
            | Self::Unconfirmed(error)
            | Self::Nameless(error, _)
            | Self::Refused(error) => Some(error),
        }
    }
}

/// How one attempt failed.
enum Attempt {
    /// The app or the conversation has changed since it was found.
    Elsewhere(Error),
    Failed(Undelivered),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        match error.meaning() {
            Meaning::BotNotInstalled | Meaning::NotFound => Self::Elsewhere(error),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<Attempt> for Undelivered {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Elsewhere(error) => error.into(),
            Attempt::Failed(undelivered) => undelivered,
        }
    }
}

impl From<Error> for Undelivered {
    fn from(error: Error) -> Self {
        match (error.meaning(), error.retry()) {
            (Meaning::Stopped, _) => Self::NotBegun,
            (_, Retry::Never) => Self::Refused(error),
            (_, Retry::Later(pause)) => Self::Later(error, pause),
            (_, Retry::FateUnknown) => Self::Unconfirmed(error),
        }
    }
}
