//! Addresses that the directory does not know, for a short while.
//!
//! Whoever makes twenty requests with the same made-up reviewers asks once.
//!
//! Architecture Invariant: bounded in number and time; remembers only what Microsoft itself refused for good.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::recipients::Address;
use crate::msteams::error::{Error, Operation, Retry};

pub(crate) struct Refusals {
    known: Mutex<HashMap<Address, (Instant, Error)>>,
    hold: Duration,
}

/// A request names a few hundred people at most; what does not fit is asked again.
const MOST: usize = 10_000;

impl Refusals {
    pub(crate) fn new(hold: Duration) -> Self {
        Self {
            known: Mutex::default(),
            hold,
        }
    }

    /// Returns why the address was refused a moment ago.
    pub(crate) fn of(&self, address: &Address) -> Option<Error> {
        let known = self.lock();
        let (until, error) = known.get(address)?;
        (Instant::now() < *until).then(|| error.clone())
    }

    /// Remembers a failure if it says that the directory has no such user.
    pub(crate) fn remember(&self, address: &Address, error: &Error) {
        if error.operation() != Operation::FindUser || error.retry() != Retry::Never {
            return;
        }
        let now = Instant::now();
        let mut known = self.lock();
        if known.len() >= MOST {
            known.retain(|_, (until, _)| now < *until);
        }
        if known.len() < MOST {
            known.insert(address.clone(), (now + self.hold, error.clone()));
        }
    }

    pub(crate) fn forget(&self, address: &Address) {
        self.lock().remove(address);
    }

    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, (Instant, Error)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msteams::error::Meaning;

    #[tokio::test(start_paused = true)]
    async fn only_who_does_not_exist_is_remembered_and_not_for_long() {
        let refusals = Refusals::new(Duration::from_mins(2));
        let address = Address::parse("nobody@example.com").unwrap();
        for (operation, retry) in [
            (Operation::Install, Retry::Never),
            (Operation::FindUser, Retry::Later(None)),
        ] {
            refusals.remember(&address, &Error::new(operation, Meaning::NotFound, retry));
            assert!(refusals.of(&address).is_none());
        }
        refusals.remember(
            &address,
            &Error::new(Operation::FindUser, Meaning::NotFound, Retry::Never),
        );
        assert!(refusals.of(&address).is_some());
        tokio::time::advance(Duration::from_mins(2)).await;
        assert!(refusals.of(&address).is_none());
    }
}
