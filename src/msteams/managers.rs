//! The managers of people in the organization's directory.
//!
//! Architecture Invariant: limited in number and time. A manager is found one level up, and never notified from here.

use std::time::Duration;

use serde::Deserialize;

use crate::cache::Cache;
use crate::domain::recipients::Address;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::graph::{Graph, no_key};

/// How long a manager, or that there is none, is remembered.
const LIFE: Duration = Duration::from_mins(10);

/// Largest number of people.
const MOST: usize = 10_000;

/// Without `accountEnabled`, the manager is an object that is no user, such as a contact.
const MANAGER: &str = "$select=id,accountEnabled,userType";

pub(crate) struct Managers(Cache<String, Option<Address>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manager {
    id: String,
    #[serde(default)]
    account_enabled: Option<bool>,
}

impl Default for Managers {
    fn default() -> Self {
        Self(Cache::new(MOST, |_| LIFE))
    }
}

impl Managers {
    /// Finds the manager of a user by the object ID; `None` if there is none who can sign in.
    pub(crate) async fn of(&self, graph: &Graph, user: &str, priority: &Priority) -> Result<Option<Address>, Error> {
        let user = user.to_owned();
        // Boxed, because it is large and seldom needed.
        self.0.get(&user, || Box::pin(look_up(graph, &user, priority))).await
    }
}

async fn look_up(graph: &Graph, user: &str, priority: &Priority) -> Result<Option<Address>, Error> {
    let operation = Operation::FindManager;
    let url = graph.service().url(&["v1.0", "users", user, "manager"], Some(MANAGER));
    let manager: Manager = match graph.get(operation, url, &no_key(), priority).await {
        Err(error) if error.meaning() == Meaning::NotFound => return Ok(None),
        answer => answer?,
    };
    if manager.account_enabled != Some(true) {
        return Ok(None);
    }
    let address = Address::parse(&manager.id).ok();
    let address = address.filter(|address| address.is_person() && !address.is_email());
    let odd = || Error::new(operation, Meaning::Protocol, Retry::Later(None)).detail("the manager has no valid ID");
    address.map(Some).ok_or_else(odd)
}
