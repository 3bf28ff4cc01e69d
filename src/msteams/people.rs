//! Who the people at email addresses are, without a conversation: requesters, and reviewers that a card mentions.
//!
//! Architecture Invariant: limited in number and time; installs nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::domain::recipients::{Address, Person};
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning};
use crate::msteams::graph::Graph;
use crate::msteams::permissions::FIND_BY_ALIAS;

/// How long a person, or that there is none, is remembered.
const LIFE: Duration = Duration::from_mins(10);

/// Largest number of addresses; those beyond the limit are looked up again.
const MOST: usize = 10_000;

#[derive(Default)]
pub(crate) struct People {
    known: Mutex<HashMap<Address, Known>>,
}

/// What is known of an address, or will be.
struct Known {
    since: Instant,
    /// Filled by the first look-up; others wait for it.
    person: Arc<OnceCell<Option<Person>>>,
}

impl People {
    /// Finds the person at an address under every name: email address, user principal name, alias, and user ID.
    pub(crate) async fn find(
        &self,
        graph: &Graph,
        address: &Address,
        priority: &Priority,
    ) -> Result<Option<Person>, Error> {
        let cell = self.cell(address);
        let person = cell.get_or_try_init(|| look_up(graph, address, priority)).await?;
        Ok(person.clone())
    }

    fn cell(&self, address: &Address) -> Arc<OnceCell<Option<Person>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(address).filter(|known| known.since.elapsed() < LIFE) {
            return Arc::clone(&known.person);
        }
        if known.len() >= MOST {
            known.retain(|_, known| known.since.elapsed() < LIFE);
        }
        let person = Arc::default();
        if known.len() < MOST {
            let since = Instant::now();
            let person = Arc::clone(&person);
            known.insert(address.clone(), Known { since, person });
        }
        person
    }
}

async fn look_up(graph: &Graph, address: &Address, priority: &Priority) -> Result<Option<Person>, Error> {
    let name = address.as_str();
    if !address.is_email() {
        return found(graph.user(name, priority).await);
    }
    // Together, because a card waits for the answer.
    let (by_mail, by_name) = tokio::join!(graph.user_with_mail(name, priority), graph.user(name, priority));
    if let Some(person) = by_mail? {
        return Ok(Some(person));
    }
    if let Some(person) = found(by_name)? {
        return Ok(Some(person));
    }
    // Nothing else needs this permission.
    if graph.service().token().has(&FIND_BY_ALIAS) {
        return graph.user_by_alias(name, priority).await;
    }
    Ok(None)
}

/// Returns the user, or that there is none.
fn found(user: Result<Person, Error>) -> Result<Option<Person>, Error> {
    match user {
        Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
        user => user.map(Some),
    }
}
