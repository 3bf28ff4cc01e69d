//! Who has the app, and in which version; and the chats in clouds whose Graph cannot read installations for people.
//!
//! Architecture Invariant: installs nothing. Where Graph cannot read installations, the Bot connector alone opens chats,
//! and its refusal is the reason.

use crate::domain::recipients::Address;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation};
use crate::msteams::installations::{Holder, Installation, app_not_in_team};
use crate::msteams::place::{AppStatus, Conversation, InstalledAt};
use crate::msteams::resolver::Resolver;
use crate::msteams::sites::Site;
use crate::msteams::teams::Teams;
use crate::msteams::versions::is_older;

impl Resolver {
    /// Opens the chat with a user, by the object id, and returns its id, in a cloud whose Graph cannot install the app for people.
    pub(super) async fn open_without_graph(&self, user: &str, priority: &Priority) -> Result<String, Error> {
        self.bot().open_chat(user, priority).await.map_err(not_installable)
    }

    /// Opens the chat and returns it as a place without an installation ID.
    pub(super) async fn place_without_graph(&self, user: &str, priority: &Priority) -> Result<InstalledAt, Error> {
        let id = self.open_without_graph(user, priority).await?;
        Ok(InstalledAt {
            installation: None,
            conversation: Conversation::with_user(id),
            web_url: None,
        })
    }

    /// Returns whether the user or the team at an address has the app, and which version. Only a post shows it for a group
    /// chat, and for a channel if Graph cannot read installations in teams. Changes nothing.
    pub(crate) async fn has_app(
        &self,
        address: &Address,
        user: Option<&str>,
        priority: &Priority,
    ) -> Result<AppStatus, Error> {
        let installations = self.installations();
        let user = user.unwrap_or(address.as_str());
        let holder = match self.site(address, priority).await? {
            Site::GroupChat(_) => return Ok(AppStatus::Unknown),
            Site::Channel(_) if !installations.of_teams() => return Ok(AppStatus::Unknown),
            Site::Person if !installations.of_people() => {
                // The chat exists whether it is opened or not, and no message is sent.
                self.open_without_graph(user, priority).await?;
                return Ok(AppStatus::Installed { version: None });
            }
            Site::Channel(channel) => Holder::Team(channel.team),
            Site::Person => Holder::Person(user.to_owned()),
        };
        let app = self.app(priority).await?;
        match (
            self.graph().installation_with_version(&holder, &app, priority).await?,
            holder,
        ) {
            (Some(Installation { version, .. }), _) => Ok(AppStatus::Installed { version }),
            (None, Holder::Person(_)) => Ok(AppStatus::Absent),
            (None, Holder::Team(_)) => Err(app_not_in_team()),
        }
    }

    /// Upgrades an installation if the catalog has a newer version, and returns both versions.
    pub(crate) async fn upgrade(
        &self,
        holder: &Holder,
        priority: &Priority,
    ) -> Result<Option<(String, String)>, Error> {
        let app = self.app(priority).await?;
        let Some(Installation { id, version }) = self.graph().installation_with_version(holder, &app, priority).await?
        else {
            return Ok(None);
        };
        let versions = version.zip(self.published_version(priority).await?);
        let Some((version, published)) = versions.filter(|(version, published)| is_older(version, published)) else {
            return Ok(None);
        };
        self.graph().upgrade(holder, &id, priority).await?;
        Ok(Some((version, published)))
    }
}

impl Teams {
    /// Returns whether the user or the team at an address has the app, and which version. Changes nothing.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn has_app(&self, address: &Address, user: Option<&str>) -> Result<AppStatus, Error> {
        let found = self.resolver().has_app(address, user, &Priority::command()).await;
        found.map_err(|error| error.about(address))
    }

    /// Waits for the next installation to compare with the catalog, if `[msapi] upgrade_app` is set.
    pub async fn next_installation(&self) -> Holder {
        self.resolver().upgrades.next().await
    }

    /// Upgrades an installation if the catalog has a newer version, and returns both versions.
    ///
    /// # Errors
    /// Microsoft did not answer or refused.
    pub async fn upgrade(&self, holder: &Holder) -> Result<Option<(String, String)>, Error> {
        self.resolver().upgrade(holder, &Priority::background()).await
    }

    /// Returns an installation whose upgrade failed to those that [`Self::next_installation`] returns, a few times.
    pub fn upgrade_again(&self, holder: Holder) {
        self.resolver().upgrades.put_back(holder);
    }

    /// Uninstalls the app for a user, and returns whether it was installed.
    ///
    /// # Errors
    /// Microsoft did not answer or refused.
    pub async fn uninstall(&self, address: &Address, user: &str) -> Result<bool, Error> {
        let app = self.find_app().await?;
        let removed = self.resolver().graph().uninstall(user, &app).await;
        removed.map_err(|error| error.about(address))
    }

    /// Returns the app's version in the catalog, if the catalog shows it.
    ///
    /// # Errors
    /// Microsoft did not answer or refused.
    pub async fn published_version(&self) -> Result<Option<String>, Error> {
        self.resolver().published_version(&Priority::command()).await
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
