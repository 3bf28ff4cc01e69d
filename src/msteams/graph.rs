//! Microsoft Graph: finds users, installations of the app, and its chats.
//!
//! Architecture Invariant: reads the directory, and installs our own app for users; changes nothing else.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::backoff::Backoff;
use crate::config::Limits;
use crate::msteams::call_queue::{Key, Priority};
use crate::msteams::envelope::Envelope;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::hint;
use crate::msteams::http::Request;
use crate::msteams::installations::Holder;
use crate::msteams::pace::PaceLimits;
use crate::msteams::paths::encode;
use crate::msteams::send_log::Window;
use crate::msteams::service::Service;

/// Our app as the organization's catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogApp {
    /// The id in the catalog, which differs from the id in the app's manifest.
    pub id: String,
    pub name: String,
}

pub(crate) struct Graph {
    service: Service,
    chat_appears_within: Duration,
    first_pause: Duration,
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Entry>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// The fields that we read of any object; all have an id.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) id: String,
    #[serde(default)]
    pub(super) display_name: Option<String>,
    #[serde(default)]
    pub(super) web_url: Option<String>,
    #[serde(default)]
    pub(super) app_definitions: Vec<AppDefinition>,
    #[serde(default)]
    pub(super) teams_app_definition: Option<AppDefinition>,
    #[serde(default)]
    pub(super) mail: Option<String>,
    #[serde(default)]
    pub(super) user_principal_name: Option<String>,
    #[serde(default)]
    pub(super) account_enabled: Option<bool>,
    #[serde(default)]
    pub(super) user_type: Option<String>,
}

/// One version of an app.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppDefinition {
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    publishing_state: Option<String>,
}

impl AppDefinition {
    /// Returns whether it can be installed: others wait for an administrator.
    pub(super) fn is_published(&self) -> bool {
        self.publishing_state
            .as_deref()
            .is_none_or(|state| state == "published")
    }
}

/// The app's chat with a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chat {
    pub(crate) id: String,
    pub(crate) installation: String,
    /// The web link of the chat; Graph may not return one.
    pub(crate) web_url: Option<String>,
}

/// A filtered list has one entry, rarely two. An empty page may still have a next one.
const MOST_PAGES: usize = 8;

/// The documented limits on reading and installing apps, with a little room: 30 calls a second for the app, and 4 of
/// them on one team.
pub(crate) fn pace() -> PaceLimits {
    let within = Duration::from_millis(1_040);
    PaceLimits {
        overall: Window { sends: 30, within },
        gap: Duration::from_millis(4),
        in_flight: 16,
        // Announcements find room immediately while recipients are looked up in advance.
        reserve: 16,
        per_key: vec![Window { sends: 4, within }],
        in_flight_per_key: 4,
    }
}

impl Graph {
    pub(crate) fn new(service: Service, limits: &Limits) -> Self {
        Self {
            service,
            chat_appears_within: limits.chat_appears_within,
            first_pause: limits.microsoft_first_pause,
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// Finds the app by the id in its manifest.
    pub(crate) async fn app(&self, external_id: &str, priority: &Priority) -> Result<CatalogApp, Error> {
        let query = filter("externalId", external_id);
        let url = self.service.url(&["v1.0", "appCatalogs", "teamsApps"], Some(&query));
        let app = self.only(Operation::FindApp, url, &no_key(), priority).await?;
        let app = app.ok_or_else(|| failure(Operation::FindApp, Meaning::AppNotInCatalog, Retry::Later(None)))?;
        Ok(CatalogApp {
            id: app.id,
            name: app.display_name.unwrap_or_default(),
        })
    }

    /// Finds the app's chat with a user, and installs the app if it is missing.
    pub(crate) async fn chat(&self, user: &str, app: &CatalogApp, priority: &Priority) -> Result<Chat, Error> {
        let holder = &Holder::Person(user.to_owned());
        let mut installation = self.installation(holder, app, priority).await?;
        if installation.is_none() {
            self.install(user, app, priority).await?;
        }
        let deadline = Instant::now() + self.chat_appears_within;
        let mut pauses = Backoff::new(self.first_pause, self.chat_appears_within / 4);
        loop {
            if installation.is_none() {
                installation = self.installation(holder, app, priority).await?;
            }
            if let Some(installation) = &installation
                && let Some(chat) = self.chat_of_installation(user, installation, priority).await?
            {
                return Ok(chat);
            }
            let pause = pauses.pause();
            if Instant::now() + pause > deadline {
                let error = Error::new(Operation::FindChat, Meaning::NotFound, Retry::Later(None));
                return Err(error.detail("the app is installed, but its chat has not appeared yet"));
            }
            sleep(pause).await;
        }
    }

    /// Returns the only entry of a filtered list.
    pub(super) async fn only(
        &self,
        operation: Operation,
        url: Url,
        key: &Key,
        priority: &Priority,
    ) -> Result<Option<Entry>, Error> {
        let mut found = self.all(operation, url, key, priority).await?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(failure(operation, Meaning::Ambiguous, Retry::Never)),
        }
    }

    /// Returns the entries of a filtered list.
    pub(super) async fn all(
        &self,
        operation: Operation,
        url: Url,
        key: &Key,
        priority: &Priority,
    ) -> Result<Vec<Entry>, Error> {
        let odd = |detail| Error::new(operation, Meaning::Protocol, Retry::Later(None)).detail(detail);
        let mut found = Vec::new();
        let mut url = url;
        for _ in 0..MOST_PAGES {
            let page: Page = self.get(operation, url, key, priority).await?;
            found.extend(page.value);
            let Some(next) = page.next else { return Ok(found) };
            // The token must not go to another host.
            let next = self.service.own_url(&next);
            url = next.ok_or_else(|| odd("the next page is on another host"))?;
        }
        Err(odd("the list does not end"))
    }

    pub(crate) async fn get<T: for<'a> Deserialize<'a>>(
        &self,
        operation: Operation,
        url: Url,
        key: &Key,
        priority: &Priority,
    ) -> Result<T, Error> {
        let request = Request::get(operation, url);
        self.service
            .call(&request, priority.caller(key), &CancellationToken::new())
            .await?
            .json()
    }
}

/// Returns the key of calls that have no limit per team.
pub(crate) fn no_key() -> Key {
    Arc::from("")
}

pub(super) fn failure(operation: Operation, meaning: Meaning, retry: Retry) -> Error {
    let hint = hint::hint(operation, meaning, &Envelope::default());
    Error::new(operation, meaning, retry).with_hint(hint)
}

/// Writes an `OData` string: in quotes, with inner quotes doubled.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Writes a query for the objects with a value of a property.
pub(super) fn filter(property: &str, value: &str) -> String {
    format!("$filter={}", encode(&format!("{property} eq {}", literal(value))))
}

#[cfg(test)]
#[path = "odata_tests.rs"]
mod odata_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_everything_is_encoded() {
        assert_eq!(
            filter("mail", "o'brien+x&y@example.com"),
            "$filter=mail%20eq%20%27o%27%27brien%2Bx%26y%40example.com%27"
        );
        assert_eq!(literal("$o'x@y"), "'$o''x@y'");
    }
}
