//! Remembers unknown addresses for a short while.
//!
//! Twenty requests with the same invalid reviewers cause one lookup.
//!
//! Architecture Invariant: limited in number and time; remembers only addresses that Microsoft itself reported as
//! unknown.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::recipients::Address;
use crate::msteams::error::{Error, Operation, Retry};

/// How long an unknown address is remembered, as a multiple of the longest pause: two minutes by default.
pub(crate) const HOLDS: u32 = 4;

pub(crate) struct Refusals {
    known: Mutex<HashMap<Address, (Instant, Error)>>,
    hold: Duration,
}

/// Largest number of addresses. A request names a few hundred reviewers at most; addresses beyond the limit are looked
/// up again.
const MOST: usize = 10_000;

impl Refusals {
    pub(crate) fn new(hold: Duration) -> Self {
        Self {
            known: Mutex::default(),
            hold,
        }
    }

    /// Returns why the address was recently refused.
    pub(crate) fn of(&self, address: &Address) -> Option<Error> {
        let known = self.lock();
        let (until, error) = known.get(address)?;
        (Instant::now() < *until).then(|| error.clone())
    }

    /// Remembers a failure if it says that the directory has no such user, team or channel.
    pub(crate) fn remember(&self, address: &Address, error: &Error) {
        let is_name = matches!(
            error.operation(),
            Operation::FindUser | Operation::FindTeam | Operation::FindChannel
        );
        if !is_name || error.retry() != Retry::Never {
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
    async fn only_unknown_users_are_remembered_and_not_for_long() {
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
