//! Whether the app is installed at an address, and what is done in a cloud whose Graph cannot say it.
//!
//! Architecture Invariant: installs nothing. Where Graph cannot read installations, the Bot connector alone opens chats,
//! and its refusal is the reason.

use crate::domain::recipients::Address;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation};
use crate::msteams::place::Conversation;
use crate::msteams::resolver::Resolver;
use crate::msteams::sites::Site;

impl Resolver {
    /// Opens the chat with a user, by the object id, in a cloud whose Graph cannot install the app for people.
    pub(super) async fn open_without_graph(&self, user: &str, priority: &Priority) -> Result<Conversation, Error> {
        let opened = self.bot().open_chat(user, priority).await;
        opened.map(Conversation::with_user).map_err(not_installable)
    }

    /// Returns whether the user or the team at an address has the app; `None` where only a post shows it: for a group
    /// chat, and for a channel if Graph cannot read installations in teams. Changes nothing.
    pub(crate) async fn has_app(
        &self,
        address: &Address,
        user: Option<&str>,
        priority: &Priority,
    ) -> Result<Option<bool>, Error> {
        let installations = self.installations();
        let user = user.unwrap_or(address.as_str());
        match self.site(address, priority).await? {
            Site::GroupChat(_) => Ok(None),
            Site::Channel(_) if !installations.of_teams() => Ok(None),
            Site::Person if !installations.of_people() => {
                // The chat exists whether it is opened or not, and no message is sent.
                self.open_without_graph(user, priority).await.map(|_| Some(true))
            }
            Site::Channel(channel) => {
                let app = self.app(priority).await?;
                let found = self.graph().installation_in_team(&channel.team, &app, priority).await;
                found.map(|_| Some(true))
            }
            Site::Person => {
                let app = self.app(priority).await?;
                let found = self.graph().installation(user, &app, priority).await?;
                Ok(Some(found.is_some()))
            }
        }
    }
}

/// Returns whether the connector may open a chat once the app is installed. Its codes are documented incompletely, so
/// every rejection in its form counts, except those that concern all chats.
pub(super) fn may_lack_the_app(error: &Error) -> bool {
    let concerns_all = matches!(error.code(), Some("BotDisabledByAdmin" | "InvalidBotApiHost"));
    let rejected = matches!(
        error.meaning(),
        Meaning::BotNotInstalled | Meaning::NotFound | Meaning::Rejected | Meaning::Blocked | Meaning::Denied
    );
    rejected && !concerns_all && matches!(error.status(), Some(400 | 403 | 404))
}

/// Returns whether a failure may mean that the catalog no longer has the app under the known id.
pub(super) fn may_mean_an_old_app(error: &Error) -> bool {
    match error.operation() {
        Operation::Install | Operation::FindInstallation => {
            matches!(error.meaning(), Meaning::NotFound | Meaning::Rejected)
        }
        Operation::FindInTeam => error.meaning() == Meaning::AppNotInTeam,
        _ => false,
    }
}

/// Explains the connector's refusal to open a chat where Graph cannot install the app.
fn not_installable(error: Error) -> Error {
    if !may_lack_the_app(&error) || error.meaning() == Meaning::Blocked {
        return error;
    }
    let hint = hint!(
        "Install the app for the user with an app setup policy (Teams admin center, Teams apps, Setup policies), or ask the user to add it in Teams"
    );
    error
        .detail("the app is not installed for this person, and Graph of this cloud cannot install it")
        .with_hint(Some(hint))
}
