//! Tells a refusal of a call from a refusal of the caller.
//!
//! Teleport answers every call of a user that was deleted with `NOT_FOUND`, as if the thing asked for did not exist, and every
//! call of a locked user with `PERMISSION_DENIED`, as if the role allowed too little. `Ping` needs no permission and looks for
//! nothing, so it shows which of the two it is.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::teleport::error::shortened;
use crate::teleport::{Client, Error, Meaning};

/// What is known of our own user; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller(Arc<Mutex<Option<Known>>>);

/// What the last `Ping` came to, and when it was sent.
#[derive(Debug)]
struct Known {
    sent: Instant,
    answer: Result<(), Error>,
}

impl Client {
    /// Returns what a refusal really means: itself if Teleport knows us, or else that it does not.
    pub(super) async fn judge(&self, error: Error) -> Error {
        if !matches!(error.meaning(), Meaning::NotFound | Meaning::Denied) {
            return error;
        }
        let refused = Instant::now();
        let mut known = self.caller().0.lock().await;
        // A burst of refusals asks once, but only what was asked after a refusal tells of it.
        let answer = match &*known {
            Some(known) if known.sent >= refused => known.answer.clone(),
            _ => {
                let sent = Instant::now();
                let answer = Box::pin(self.ping()).await.map(|_| ());
                *known = Some(Known {
                    sent,
                    answer: answer.clone(),
                });
                answer
            }
        };
        match answer {
            Err(of_us) if of_us.meaning() == Meaning::Caller => of_us.while_doing(error.doing()),
            // Whether the thing is there stays unknown.
            Err(unknown) if error.meaning() == Meaning::NotFound => unknown.while_doing(error.doing()),
            Ok(()) | Err(_) => error,
        }
    }

    /// Says of a refused `Ping` that we are meant.
    pub(super) fn of_us(&self, error: Error) -> Error {
        let user = shortened(&self.keyring().newest().user);
        let (what, hint) = match error.meaning() {
            Meaning::NotFound => (
                format!("the user {user} does not exist any more"),
                hint!(
                    "Create the user or the bot again, or issue an identity of an existing user; the role is not the cause"
                ),
            ),
            Meaning::Denied => (
                format!("Teleport rejects every call of the user {user}"),
                hint!(
                    "Check whether the user is locked (`tctl get locks`) or its session has ended; the role is not the cause"
                ),
            ),
            _ => return error,
        };
        let detail = format!("{what}: {}", error.detail());
        Error::new(Meaning::Caller, error.doing(), detail).with_hint(hint)
    }
}
