//! Versions of the app: in the catalog, and of installations, which can be upgraded.
//!
//! Architecture Invariant: upgrades only to the version of the catalog, and only what is older.

use bytes::Bytes;
use reqwest::Method;
use tokio_util::sync::CancellationToken;

use crate::msteams::answer::Expects;
use crate::msteams::call_queue::{Key, Priority};
use crate::msteams::error::{Error, Meaning, Operation};
use crate::msteams::graph::{AppDefinition, CatalogApp, Graph, filter, no_key};
use crate::msteams::http::{Effect, Request};
use crate::msteams::upgrades::Holder;

/// An installation of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    pub(crate) id: String,
    /// `None` if Graph does not show it.
    pub(crate) version: Option<String>,
}

impl Graph {
    /// Returns the app's version in the catalog, if the catalog shows it: the newest that is published.
    pub(crate) async fn published_version(
        &self,
        external_id: &str,
        priority: &Priority,
    ) -> Result<Option<String>, Error> {
        let query = format!("{}&$expand=appDefinitions", filter("externalId", external_id));
        let url = self.service().url(&["v1.0", "appCatalogs", "teamsApps"], Some(&query));
        let app = self.only(Operation::FindApp, url, &no_key(), priority).await?;
        let definitions = app.map(|app| app.app_definitions).unwrap_or_default();
        let published = definitions.into_iter().filter(AppDefinition::is_published);
        let versions = published.filter_map(|definition| definition.version);
        Ok(versions.max_by_key(|version| numbers(version)))
    }

    /// Returns the installation of the app for a person or in a team, if there is one.
    ///
    /// Source: `userteamwork-list-installedapps.md` and `team-list-installedapps.md` of microsoft-graph-docs-contrib.
    pub(crate) async fn installed(
        &self,
        holder: &Holder,
        app: &CatalogApp,
        priority: &Priority,
    ) -> Result<Option<Installation>, Error> {
        let query = format!("$expand=teamsApp,teamsAppDefinition&{}", filter("teamsApp/id", &app.id));
        let url = self.service().url(&holder.path(), Some(&query));
        let operation = match holder {
            Holder::Person(_) => Operation::FindInstallation,
            Holder::Team(_) => Operation::FindInTeam,
        };
        let found = self.only(operation, url, &holder.key(), priority).await?;
        Ok(found.map(|found| Installation {
            id: found.id,
            version: found.teams_app_definition.and_then(|definition| definition.version),
        }))
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
            body: None::<(_, Bytes)>,
            effect: Effect::Idempotent,
            expects: Expects::Status(204),
        };
        let stop = CancellationToken::new();
        match self
            .service()
            .call(&request, priority.caller(&holder.key()), &stop)
            .await
        {
            Err(error) if error.meaning() == Meaning::Conflict => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }
}

impl Holder {
    /// Returns the path of the installations.
    fn path(&self) -> Vec<&str> {
        match self {
            Self::Person(id) => vec!["v1.0", "users", id, "teamwork", "installedApps"],
            Self::Team(id) => vec!["v1.0", "teams", id, "installedApps"],
        }
    }

    /// Returns what the limits of Graph count for.
    fn key(&self) -> Key {
        match self {
            Self::Person(_) => no_key(),
            Self::Team(id) => Key::from(&**id),
        }
    }
}

/// Returns whether a version of the app is older than another one. False if one of them is not made of numbers.
pub fn is_older(version: &str, than: &str) -> bool {
    match (numbers(version), numbers(than)) {
        (Some(version), Some(than)) => version < than,
        _ => false,
    }
}

/// Returns the numbers of a version, without zeros at the end.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let numbers: Result<Vec<u64>, _> = version.split('.').map(str::parse).collect();
    let mut numbers = numbers.ok()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (one, other) in [
            ("1.0.0", "1.0.1"),
            ("1.9.0", "1.10.0"),
            ("0.9", "1"),
            ("1.1.3", "1.2.0"),
        ] {
            assert!(is_older(one, other) && !is_older(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("1.0", "1.0.0"),
            ("1.2.0", "1.2.0"),
            ("", "1.0.0"),
            ("1.0.0-beta", "1.0.0"),
        ] {
            assert!(!is_older(one, other) && !is_older(other, one), "{one} {other}");
        }
    }
}
