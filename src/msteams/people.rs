//! Who the people at email addresses are, without a conversation: requesters, and reviewers that a card mentions.
//!
//! Architecture Invariant: limited in number and time; installs nothing.

use std::time::Duration;

use serde::Deserialize;

use crate::cache::Cache;
use crate::domain::recipients::{Address, Person};
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation};
use crate::msteams::graph::{Graph, no_key};
use crate::msteams::users::is_guest;

/// How long a person, or that there is none, is remembered.
const LIFE: Duration = Duration::from_mins(10);

/// Largest number of addresses.
const MOST: usize = 10_000;

pub(crate) struct People(Cache<Address, Option<Person>>);

impl Default for People {
    fn default() -> Self {
        Self(Cache::new(MOST, |_| LIFE))
    }
}

impl People {
    /// Finds the person at an address under every name: email address, user principal name, alias, and user ID.
    pub(crate) async fn find(
        &self,
        graph: &Graph,
        address: &Address,
        priority: &Priority,
    ) -> Result<Option<Person>, Error> {
        // Boxed, because it is large and seldom needed.
        let look_up = || Box::pin(look_up(graph, address, priority));
        self.0.get(address, look_up).await
    }
}

async fn look_up(graph: &Graph, address: &Address, priority: &Priority) -> Result<Option<Person>, Error> {
    let name = address.as_str();
    let user = if address.is_email() {
        graph.user_by_email(name, priority).await
    } else {
        graph.user(name, priority).await
    };
    match user {
        Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
        user => user.map(|user| Some(user.person)),
    }
}

/// The fields that show who a person is. Without `User.Read.All`, Graph omits `userType`.
const MEMBER: &str = "$select=id,userPrincipalName,userType";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    #[serde(default)]
    user_principal_name: Option<String>,
    #[serde(default)]
    user_type: Option<String>,
}

/// Returns the user principal name of a member of the tenant; `None` for a guest, and if Graph does not show that the
/// user is a member.
pub(crate) async fn member_name(graph: &Graph, id: &str, priority: &Priority) -> Result<Option<String>, Error> {
    let url = graph.service().url(&["v1.0", "users", id], Some(MEMBER));
    let member: Member = graph.get(Operation::FindUser, url, &no_key(), priority).await?;
    let Some(kind) = member.user_type.as_deref() else {
        return Ok(None);
    };
    let is_member = |name: &String| !is_guest(name, Some(kind));
    Ok(member.user_principal_name.filter(is_member))
}
