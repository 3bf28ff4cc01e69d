//! Looks up what requested resources and Access Lists are called, and caches the answers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use crate::domain::request::{AccessRequest, Resource, ResourceName, ResourceNames};
use crate::teleport::{Client, Error, Meaning, NamedResource};

/// How long names are cached, known or not: descriptions change rarely, and a name is not a fact to decide on.
const LIFE: Duration = Duration::from_mins(5);

/// The number of cached names; expired ones are dropped first.
const MOST: usize = 10_000;

/// The names of one cluster.
#[derive(Debug)]
pub(in crate::daemon) struct Names {
    client: Client,
    resources: Cache<(String, String), ResourceName>,
    lists: Cache<String, String>,
    warned: AtomicBool,
    list_warned: AtomicBool,
}

/// Answers by key; `None` for what has no name, or cannot be seen.
#[derive(Debug)]
struct Cache<K, V>(Mutex<HashMap<K, (Instant, Option<V>)>>);

impl Names {
    pub(in crate::daemon) fn new(client: Client) -> Self {
        Self {
            client,
            resources: Cache::new(),
            lists: Cache::new(),
            warned: AtomicBool::new(false),
            list_warned: AtomicBool::new(false),
        }
    }

    /// Returns the names that a card of the request shows, as far as they are known or Teleport answers within `patience`.
    /// A card with IDs is better than a late card.
    pub(in crate::daemon) async fn of(
        &self,
        request: &AccessRequest,
        cluster: &str,
        patience: Duration,
    ) -> Arc<ResourceNames> {
        let own: Vec<&Resource> = request
            .resources
            .iter()
            .filter(|resource| resource.cluster == cluster)
            .collect();
        let unknown = own
            .iter()
            .filter(|resource| self.resources.get(&key(resource)).is_none());
        let unknown: Vec<Resource> = unknown.map(|resource| Resource::clone(resource)).collect();
        let list = &request.recommended_list;
        let look_ups = async { tokio::join!(self.look_up_resources(request, &unknown), self.look_up_list(list)) };
        if tokio::time::timeout(patience, look_ups).await.is_err() {
            // The next cards do not wait for the same answer.
            self.resources.put(unknown.iter().map(|resource| (key(resource), None)));
            debug!(request.id = %request.id, "Teleport does not answer a look-up of names in time; the card shows IDs");
        }
        let names = own.into_iter().map(key);
        let names = names.filter_map(|key| Some((key.clone(), self.resources.get(&key)??)));
        let title = self.lists.get(list).flatten();
        Arc::new(ResourceNames {
            cluster: cluster.to_owned(),
            names: names.collect(),
            lists: title.map(|title| (list.clone(), title)).into_iter().collect(),
        })
    }

    async fn look_up_resources(&self, request: &AccessRequest, unknown: &[Resource]) {
        if unknown.is_empty() {
            return;
        }
        let (named, errors) = self.client.resource_names(unknown).await;
        if errors.is_empty() {
            self.warned.store(false, Ordering::Relaxed);
        }
        for error in &errors {
            self.report(request, error);
        }
        let hidden = unknown.len().saturating_sub(named.len());
        if hidden > 0 {
            debug!(request.id = %request.id, hidden, "Some requested resources have no name, or are not visible to the role");
        }
        // A kind that may not be read is not looked up for each request; other failures are temporary.
        if errors.iter().all(|error| error.meaning() == Meaning::Denied) {
            self.learn(unknown, named);
        } else {
            self.resources
                .put(named.into_iter().map(|(key, name)| (key, Some(name))));
        }
    }

    /// Remembers the names of resources that were listed, and that the others have none.
    pub(super) fn learn(&self, listed: &[Resource], named: Vec<NamedResource>) {
        self.resources.put(listed.iter().map(|resource| (key(resource), None)));
        self.resources
            .put(named.into_iter().map(|(key, name)| (key, Some(name))));
    }

    async fn look_up_list(&self, list: &str) {
        if list.is_empty() || self.lists.get(&list.to_owned()).is_some() {
            return;
        }
        match self.client.access_list_title(list).await {
            Ok(title) => self
                .lists
                .put([(list.to_owned(), Some(title).filter(|title| !title.is_empty()))]),
            Err(error) => {
                let hint = error.hint();
                let news = error.meaning() == Meaning::Denied && !self.list_warned.swap(true, Ordering::Relaxed);
                warn_if!(news, list, %error, hint, "Could not read the title of an Access List; cards show its ID");
                if matches!(
                    error.meaning(),
                    Meaning::Denied | Meaning::NotFound | Meaning::Unsupported
                ) {
                    self.lists.put([(list.to_owned(), None)]);
                }
            }
        }
    }

    fn report(&self, request: &AccessRequest, error: &Error) {
        let hint = error.hint();
        let news = error.meaning() == Meaning::Denied && !self.warned.swap(true, Ordering::Relaxed);
        warn_if!(
            news,
            request.id = %request.id, %error, hint,
            "Could not read the names of requested resources; cards show their IDs"
        );
    }
}

fn key(resource: &Resource) -> (String, String) {
    (resource.kind.clone(), resource.name.clone())
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Returns a current answer.
    #[expect(clippy::option_option, reason = "the outer option is whether there is an answer")]
    fn get(&self, key: &K) -> Option<Option<V>> {
        let known = self.lock();
        let (until, answer) = known.get(key)?;
        (Instant::now() < *until).then(|| answer.clone())
    }

    fn put(&self, answers: impl IntoIterator<Item = (K, Option<V>)>) {
        let now = Instant::now();
        let mut known = self.lock();
        for (key, answer) in answers {
            if known.len() >= MOST {
                known.retain(|_, (until, _)| now < *until);
            }
            if known.len() < MOST {
                known.insert(key, (now + LIFE, answer));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (Instant, Option<V>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
