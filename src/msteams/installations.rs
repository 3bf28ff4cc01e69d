//! The installations of the app in Graph: finds, makes, upgrades and removes them.
//!
//! Architecture Invariant: an installation is filtered by the app's ID in the catalog, so no other app is changed.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::msteams::answer::Expects;
use crate::msteams::call_queue::{Key, Priority};
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::graph::{CatalogApp, Chat, Entry, Graph, failure, filter, no_key};
use crate::msteams::http::{Effect, JSON, Request};

/// A person or a team that has the app, by ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    Person(String),
    Team(String),
}

/// An installation of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    pub(crate) id: String,
    /// `None` if Graph does not show it.
    pub(crate) version: Option<String>,
}

impl Holder {
    /// Returns the path of the installations.
    fn path(&self) -> Vec<&str> {
        match self {
            Self::Person(id) => path_of_person(id).to_vec(),
            Self::Team(id) => vec!["v1.0", "teams", id, "installedApps"],
        }
    }

    /// Returns what the limits of Graph count for.
    fn key(&self) -> Key {
        match self {
            Self::Person(_) => no_key(),
            Self::Team(id) => Arc::from(&**id),
        }
    }
}

fn path_of_person(user: &str) -> [&str; 5] {
    ["v1.0", "users", user, "teamwork", "installedApps"]
}

/// Returns the failure of a team without the app.
pub(super) fn app_not_in_team() -> Error {
    failure(Operation::FindInTeam, Meaning::AppNotInTeam, Retry::Never)
}

impl Graph {
    /// Returns the ID of the app's installation for a person or in a team, if there is one.
    pub(crate) async fn installation(
        &self,
        holder: &Holder,
        app: &CatalogApp,
        priority: &Priority,
    ) -> Result<Option<String>, Error> {
        let found = self.find_installation(holder, app, "teamsApp", priority).await?;
        Ok(found.map(|found| found.id))
    }

    /// Returns the app's installation for a person or in a team with its version, if there is one.
    pub(crate) async fn installation_with_version(
        &self,
        holder: &Holder,
        app: &CatalogApp,
        priority: &Priority,
    ) -> Result<Option<Installation>, Error> {
        let expand = "teamsApp,teamsAppDefinition";
        let found = self.find_installation(holder, app, expand, priority).await?;
        Ok(found.map(|found| Installation {
            id: found.id,
            version: found.teams_app_definition.and_then(|definition| definition.version),
        }))
    }

    /// Source: `userteamwork-list-installedapps.md` and `team-list-installedapps.md` of microsoft-graph-docs-contrib.
    async fn find_installation(
        &self,
        holder: &Holder,
        app: &CatalogApp,
        expand: &str,
        priority: &Priority,
    ) -> Result<Option<Entry>, Error> {
        let query = format!("$expand={expand}&{}", filter("teamsApp/id", &app.id));
        let url = self.service().url(&holder.path(), Some(&query));
        let operation = match holder {
            Holder::Person(_) => Operation::FindInstallation,
            Holder::Team(_) => Operation::FindInTeam,
        };
        self.only(operation, url, &holder.key(), priority).await
    }

    /// Installs the app for a user. A simultaneous installation by another client counts as success.
    pub(crate) async fn install(&self, user: &str, app: &CatalogApp, priority: &Priority) -> Result<(), Error> {
        let reference = self.service().url(&["v1.0", "appCatalogs", "teamsApps", &app.id], None);
        let body = json!({ "teamsApp@odata.bind": reference.as_str() });
        let request = Request {
            operation: Operation::Install,
            method: Method::POST,
            url: self.service().url(&path_of_person(user), None),
            body: Some((JSON, Bytes::from(body.to_string()))),
            effect: Effect::Idempotent,
            expects: Expects::Status(201),
        };
        self.change(&request, &no_key(), priority).await
    }

    /// Upgrades an installation to the version of the catalog. A simultaneous upgrade by another client counts as success.
    ///
    /// Source: `userteamwork-teamsappinstallation-upgrade.md` and `team-teamsappinstallation-upgrade.md` of
    /// microsoft-graph-docs-contrib.
    pub(crate) async fn upgrade(&self, holder: &Holder, installation: &str, priority: &Priority) -> Result<(), Error> {
        let mut path = holder.path();
        path.extend([installation, "upgrade"]);
        let request = Request {
            operation: match holder {
                Holder::Person(_) => Operation::Upgrade,
                Holder::Team(_) => Operation::UpgradeInTeam,
            },
            method: Method::POST,
            url: self.service().url(&path, None),
            body: None,
            effect: Effect::Idempotent,
            expects: Expects::Status(204),
        };
        self.change(&request, &holder.key(), priority).await
    }

    /// Uninstalls the app for a user, and returns whether it was installed.
    pub(crate) async fn uninstall(&self, user: &str, app: &CatalogApp) -> Result<bool, Error> {
        let (holder, priority) = (Holder::Person(user.to_owned()), &Priority::command());
        let Some(installation) = self.installation(&holder, app, priority).await? else {
            return Ok(false);
        };
        let mut path = holder.path();
        path.push(&installation);
        let request = Request {
            operation: Operation::Uninstall,
            method: Method::DELETE,
            url: self.service().url(&path, None),
            body: None,
            effect: Effect::Idempotent,
            expects: Expects::Status(204),
        };
        let stop = CancellationToken::new();
        match self.service().call(&request, priority.caller(&no_key()), &stop).await {
            // Another client uninstalled it first.
            Err(error) if error.meaning() == Meaning::NotFound => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }

    /// Returns the app's chat with a user; `None` if it has not appeared yet.
    pub(crate) async fn chat_of_installation(
        &self,
        user: &str,
        installation: &str,
        priority: &Priority,
    ) -> Result<Option<Chat>, Error> {
        let path = [&path_of_person(user)[..], &[installation, "chat"]].concat();
        let url = self.service().url(&path, None);
        match self.get::<Entry>(Operation::FindChat, url, &no_key(), priority).await {
            Ok(chat) => Ok(Some(Chat {
                id: chat.id,
                installation: installation.to_owned(),
                web_url: chat.web_url,
            })),
            Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a change. A simultaneous one by another client, which Graph reports as a conflict, counts as success.
    async fn change(&self, request: &Request, key: &Key, priority: &Priority) -> Result<(), Error> {
        let stop = CancellationToken::new();
        match self.service().call(request, priority.caller(key), &stop).await {
            Err(error) if error.meaning() == Meaning::Conflict => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }
}
