//! A value that many callers share and one of them fetches.
//!
//! Architecture Invariant: independent of what is fetched. Callers that arrive during a fetch share its outcome, a
//! value or a failure; no caller fetches again after a failure that happened while it waited.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::msteams::error::{Error, Meaning};

pub(crate) struct SingleFlight<T> {
    held: Mutex<Option<T>>,
    /// Locked by the caller that fetches; holds the last failure.
    turn: tokio::sync::Mutex<Option<Failure>>,
    /// Grows when earlier failures become obsolete.
    age: AtomicU64,
}

struct Failure {
    at: Instant,
    /// The age in which the fetch began.
    age: u64,
    error: Error,
}

/// Refused credentials remain refused for a while. A burst of sends must not become a burst of logins.
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

    /// Keeps a value that was fetched elsewhere, unless there already is one.
    pub(crate) fn offer(&self, value: T) {
        self.lock().get_or_insert(value);
    }

    /// Drops the value if `unwanted` returns true for it.
    pub(crate) fn forget_if(&self, unwanted: impl FnOnce(&T) -> bool) {
        self.lock().take_if(|value| unwanted(value));
    }

    /// Declares failures of running and earlier fetches obsolete, because something that a fetch depends on has
    /// changed.
    pub(crate) fn forget_failures(&self) {
        self.age.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns a usable value, and fetches it if there is none; `fetch` runs at most once.
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
    /// Returns whether a caller that asked at that time may get this failure.
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
    async fn simultaneous_callers_share_one_fetch() {
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
    async fn a_failure_is_obsolete_once_its_cause_may_be_fixed() {
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
