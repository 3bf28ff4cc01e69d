//! A value that many want and one fetches.
//!
//! Architecture Invariant: knows nothing of what is fetched. Whoever asks while a fetch runs shares its outcome, good or
//! bad; nobody fetches behind a failure that came while they waited.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::msteams::error::{Error, Meaning};

pub(crate) struct SingleFlight<T> {
    held: Mutex<Option<T>>,
    /// Held by whoever fetches, with the last failure.
    turn: tokio::sync::Mutex<Option<Failure>>,
    /// Grows when earlier failures say nothing any more.
    age: AtomicU64,
}

struct Failure {
    at: Instant,
    /// The age in which the fetch began.
    age: u64,
    error: Error,
}

/// Refused credentials are not accepted a moment later either. A burst of sends must not become a burst of logins.
const REFUSAL_HOLDS: Duration = Duration::from_secs(30);

impl<T: Clone> SingleFlight<T> {
    pub(crate) fn new() -> Self {
        Self {
            held: Mutex::new(None),
            turn: tokio::sync::Mutex::new(None),
            age: AtomicU64::new(0),
        }
    }

    pub(crate) fn held(&self) -> Option<T> {
        self.lock().clone()
    }

    /// Keeps a value that was fetched elsewhere, unless there is one.
    pub(crate) fn offer(&self, value: T) {
        self.lock().get_or_insert(value);
    }

    /// Drops the value if it is one that `unwanted` describes.
    pub(crate) fn forget_if(&self, unwanted: impl FnOnce(&T) -> bool) {
        self.lock().take_if(|value| unwanted(value));
    }

    /// What a fetch depends on has changed: failures of fetches that began before are nobody's answer any more.
    pub(crate) fn forget_failures(&self) {
        self.age.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns a usable value, fetching it if there is none; `fetch` is run at most once.
    pub(crate) async fn get(
        &self,
        usable: impl Fn(&T) -> bool,
        fetch: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if let Some(value) = self.held().filter(&usable) {
            return Ok(value);
        }
        let asked = Instant::now();
        let mut failure = self.turn.lock().await;
        if let Some(value) = self.held().filter(&usable) {
            return Ok(value);
        }
        let age = self.age.load(Ordering::Relaxed);
        let answers = |failure: &&Failure| failure.age == age && failure.answers(asked);
        if let Some(failure) = failure.as_ref().filter(answers) {
            return Err(failure.error.clone());
        }
        match fetch.await {
            Ok(value) => {
                *self.lock() = Some(value.clone());
                *failure = None;
                Ok(value)
            }
            Err(error) => {
                *failure = Some(Failure {
                    at: Instant::now(),
                    age,
                    error: error.clone(),
                });
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    /// Tells whether somebody who asked then may be given this failure.
    fn answers(&self, asked: Instant) -> bool {
        let refusal = self.error.meaning() == Meaning::Credentials;
        self.at > asked || (refusal && asked < self.at + REFUSAL_HOLDS)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;
    use crate::msteams::error::{Operation, Retry};

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_together_share_one_fetch() {
        let flight = SingleFlight::new();
        let fetches = AtomicUsize::new(0);
        let fetch = || async {
            sleep(Duration::from_secs(1)).await;
            Ok(fetches.fetch_add(1, Ordering::Relaxed))
        };
        let values = join_all((0..10).map(|_| flight.get(|_| true, fetch()))).await;
        assert!(values.iter().all(|value| matches!(value, Ok(0))));
        flight.forget_if(|value| *value == 1);
        assert_eq!(flight.held(), Some(0));
        flight.forget_if(|value| *value == 0);
        assert_eq!(flight.get(|_| true, fetch()).await.unwrap(), 1);
    }

    async fn failed_fetches(meaning: Meaning) -> usize {
        let flight = SingleFlight::<()>::new();
        let fetches = AtomicUsize::new(0);
        let fetch = || async {
            sleep(Duration::from_secs(1)).await;
            fetches.fetch_add(1, Ordering::Relaxed);
            Err(Error::new(Operation::BotToken, meaning, Retry::Later(None)))
        };
        join_all((0..10).map(|_| flight.get(|()| true, fetch()))).await;
        flight.get(|()| true, fetch()).await.unwrap_err();
        sleep(REFUSAL_HOLDS).await;
        flight.get(|()| true, fetch()).await.unwrap_err();
        fetches.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_no_answer_once_its_reason_may_be_gone() {
        let flight = SingleFlight::new();
        let refused = || async {
            sleep(Duration::from_secs(1)).await;
            Err(Error::new(
                Operation::BotToken,
                Meaning::Credentials,
                Retry::Later(None),
            ))
        };
        let late = async {
            sleep(Duration::from_millis(500)).await;
            flight.forget_failures();
            flight.get(|_| true, async { Ok(7) }).await
        };
        let (first, late) = tokio::join!(flight.get(|_| true, refused()), late);
        assert!(first.is_err());
        assert_eq!(late.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_and_a_refusal_is_remembered_for_a_while() {
        assert_eq!(failed_fetches(Meaning::Unreachable).await, 3);
        assert_eq!(failed_fetches(Meaning::Credentials).await, 2);
    }
}
