//! Which people are out of office, and which members of the tenant they name.
//!
//! Architecture Invariant: limited in number and time. Of a message only the addresses are kept.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::domain::recipients::{Address, Person, addresses_in};
use crate::msteams::answer::Expects;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation};
use crate::msteams::graph::{Graph, no_key};
use crate::msteams::http::{Effect, JSON, Request};

/// Maximum number of people in one call. Microsoft accepts 650, but an answer contains the message of each, and is read up to a
/// limit.
pub const MOST_PRESENCES: usize = 50;

/// How long a presence, and who is at an address, is remembered.
const LIFE: Duration = Duration::from_mins(5);

/// Largest numbers of people and of addresses.
const MOST: usize = 10_000;

/// Until when it holds, and the addresses in the message of a person who is out of office; `None` for others. By object ID in
/// lower case.
type Known = HashMap<String, (Instant, Option<Vec<Address>>)>;

pub(crate) struct Presences {
    known: Mutex<Known>,
    /// Held during a call, so that requests with the same recipients cause one.
    calling: tokio::sync::Mutex<()>,
    members: Cache<Address, Option<Person>>,
}

/// Source: `api-reference/v1.0/api/cloudcommunications-getpresencesbyuserid.md`, `resources/presence.md` and
/// `resources/outofofficesettings.md` in microsoft-graph-docs-contrib. Every part can be missing.
#[derive(Deserialize)]
struct Answer {
    value: Vec<Presence>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presence {
    id: String,
    #[serde(default)]
    out_of_office_settings: Option<OutOfOffice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutOfOffice {
    #[serde(default)]
    is_out_of_office: Option<bool>,
    #[serde(default)]
    message: Option<String>,
}

impl Default for Presences {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            calling: tokio::sync::Mutex::default(),
            members: Cache::new(MOST, |_| LIFE),
        }
    }
}

impl Presences {
    /// Returns the addresses in the messages of those people who are out of office, and whether Microsoft answered it just now.
    pub(crate) async fn absent(
        &self,
        graph: &Graph,
        people: &[String],
        priority: &Priority,
    ) -> Result<(HashMap<String, Vec<Address>>, bool), Error> {
        let people = &people[..people.len().min(MOST_PRESENCES)];
        if let Some(absent) = self.known(people) {
            return Ok((absent, false));
        }
        let _calling = self.calling.lock().await;
        if let Some(absent) = self.known(people) {
            return Ok((absent, false));
        }
        let found = ask(graph, people, priority).await?;
        self.remember(people, &found);
        Ok((found, true))
    }

    /// Returns the member of the tenant at an address.
    pub(crate) async fn member_at(
        &self,
        graph: &Graph,
        address: &Address,
        priority: &Priority,
    ) -> Result<Option<Person>, Error> {
        let look_up = async || match graph.user_by_email(address.as_str(), priority).await {
            // A word with an `@` can also be invalid in a filter.
            Err(error)
                if matches!(
                    error.meaning(),
                    Meaning::NotFound | Meaning::Ambiguous | Meaning::Rejected
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(user) => Ok(Some(user.person).filter(|_| !user.is_disabled && !user.is_guest)),
        };
        self.members.get(address, || Box::pin(look_up())).await
    }

    /// Returns what is known of people; `None` if any of them is unknown or expired.
    fn known(&self, people: &[String]) -> Option<HashMap<String, Vec<Address>>> {
        let (now, known) = (Instant::now(), self.lock());
        let mut absent = HashMap::new();
        for id in people {
            let (until, addresses) = known.get(&id.to_lowercase())?;
            if *until <= now {
                return None;
            }
            absent.extend(addresses.clone().map(|addresses| (id.clone(), addresses)));
        }
        Some(absent)
    }

    fn remember(&self, people: &[String], absent: &HashMap<String, Vec<Address>>) {
        let (now, mut known) = (Instant::now(), self.lock());
        if known.len() + people.len() > MOST {
            known.retain(|_, (until, _)| now < *until);
        }
        for id in people {
            if known.len() < MOST {
                known.insert(id.to_lowercase(), (now + LIFE, absent.get(id).cloned()));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(graph: &Graph, people: &[String], priority: &Priority) -> Result<HashMap<String, Vec<Address>>, Error> {
    let request = Request {
        operation: Operation::FindPresence,
        method: Method::POST,
        url: graph
            .service()
            .url(&["v1.0", "communications", "getPresencesByUserId"], None),
        body: Some((JSON, Bytes::from(json!({ "ids": people }).to_string()))),
        effect: Effect::Idempotent,
        expects: Expects::Object,
    };
    let key = no_key();
    let answer = graph
        .service()
        .call(&request, priority.caller(&key), &CancellationToken::new())
        .await?;
    let Answer { value } = answer.json()?;
    let mut absent = HashMap::new();
    for presence in value.into_iter().take(MOST_PRESENCES) {
        let asked = people.iter().find(|id| id.eq_ignore_ascii_case(&presence.id));
        let settings = presence.out_of_office_settings;
        let settings = settings.filter(|settings| settings.is_out_of_office == Some(true));
        if let (Some(id), Some(settings)) = (asked, settings) {
            let message = settings.message.unwrap_or_default();
            absent.insert(id.clone(), addresses_in(&message));
        }
    }
    Ok(absent)
}
