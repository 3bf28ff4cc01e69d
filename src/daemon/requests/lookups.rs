//! Looks up what rules need besides the request: traits of users and labels of the resources.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::debug;
use tracing::warn;

use crate::cache::Cache;
use crate::daemon::requests::names::Names;
use crate::domain::request::AccessRequest;
use crate::domain::rules::Labels;
use crate::teleport::{Client, Error, Meaning};

/// How long traits are cached. They change with a login or a change of the user.
const TRAITS_LIFE: Duration = Duration::from_mins(1);

/// The number of users whose traits are cached.
const MOST_USERS: usize = 1_000;

/// The number of concurrent look-ups, so that a flood of requests does not flood Teleport.
const CONCURRENCY: usize = 16;

/// After this number of runs without an answer from Teleport, a request is routed without the look-up.
const PATIENCE: u32 = 3;

/// Looks up users and resources, caches the traits of users, and warns once while a look-up fails.
#[derive(Debug)]
pub(in crate::daemon) struct Lookups {
    client: Client,
    traits: Cache<String, Arc<Traits>>,
    slots: Semaphore,
    traits_warned: AtomicBool,
    labels_warned: AtomicBool,
    pub(super) reviewers_reported: AtomicBool,
    pub(super) requesters_reported: AtomicBool,
}

/// Why a look-up has no result.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The request must be routed later.
    Deferred(Error),
    /// The request must be routed without the result, for this reason.
    Unknown(String),
}

pub(in crate::daemon) type Traits = BTreeMap<String, Vec<String>>;

impl Lookups {
    pub(in crate::daemon) fn new(client: Client) -> Self {
        Self {
            client,
            traits: Cache::new(MOST_USERS, |_| TRAITS_LIFE),
            slots: Semaphore::new(CONCURRENCY),
            traits_warned: AtomicBool::new(false),
            labels_warned: AtomicBool::new(false),
            reviewers_reported: AtomicBool::new(false),
            requesters_reported: AtomicBool::new(false),
        }
    }

    /// Returns the traits of a user, from the cache or from Teleport.
    pub(in crate::daemon) async fn traits_of(&self, user: &str) -> Result<Arc<Traits>, Error> {
        let look_up = async || {
            // The semaphore is never closed.
            let _slot = self.slots.acquire().await;
            self.client.user_traits(user).await.map(Arc::new)
        };
        self.traits.get(&user.to_owned(), look_up).await
    }

    /// Returns the traits of the requester. `failures` is the number of earlier runs that failed.
    pub(super) async fn traits(&self, request: &AccessRequest, failures: u32) -> Result<Arc<Traits>, Unanswered> {
        let error = match self.traits_of(&request.user).await {
            Ok(traits) => {
                self.traits_warned.store(false, Ordering::Relaxed);
                return Ok(traits);
            }
            Err(error) => error,
        };
        if defers_request(&error, failures) {
            return Err(Unanswered::Deferred(error));
        }
        let hint = error.hint();
        let warned = self.traits_warned.swap(true, Ordering::Relaxed);
        if error.meaning() == Meaning::Denied {
            if !warned {
                warn!(%error, hint, "Could not read user traits; Access Monitoring Rules see users without traits");
            }
            return Ok(Arc::default());
        }
        warn_if!(
            !warned,
            request.id = %request.id, %error, hint,
            "Could not read the traits of the requester; no Access Monitoring Rule is evaluated"
        );
        Err(Unanswered::Unknown(error.to_string()))
    }

    /// Returns the labels of the requested resources, and adds their names to `names`. `failures` is the number of earlier
    /// runs that failed.
    pub(super) async fn labels(
        &self,
        request: &AccessRequest,
        failures: u32,
        names: &Names,
    ) -> Result<Labels, Unanswered> {
        if request.resources.is_empty() {
            return Ok(Labels::default());
        }
        let _slot = self.slots.acquire().await;
        let error = match self.client.resource_labels(&request.resources).await {
            Ok(listed) => {
                self.labels_warned.store(false, Ordering::Relaxed);
                let hidden = request.resources.len().saturating_sub(listed.labels.len());
                if hidden > 0 {
                    debug!(
                        request.id = %request.id,
                        hidden, "Some requested resources are not visible to the role; their labels are unknown"
                    );
                }
                names.learn(&request.resources, listed.names);
                return Ok(Labels::of(&listed.labels));
            }
            Err(error) => error,
        };
        if defers_request(&error, failures) {
            return Err(Unanswered::Deferred(error));
        }
        let hint = error.hint();
        warn_if!(
            !self.labels_warned.swap(true, Ordering::Relaxed),
            request.id = %request.id, %error, hint,
            "Could not read the labels of the requested resources; rules that use labels do not match"
        );
        Err(Unanswered::Unknown(error.to_string()))
    }
}

/// Reports whether a request waits for a look-up that failed, instead of being routed without its result.
pub(super) fn defers_request(error: &Error, failures: u32) -> bool {
    match error.meaning() {
        // The request cannot be claimed either until Teleport serves this user again.
        Meaning::Caller => true,
        Meaning::Unreachable | Meaning::Credentials | Meaning::Exhausted => failures < PATIENCE,
        _ => false,
    }
}
