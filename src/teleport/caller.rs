//! Distinguishes a rejected call from a rejected caller.
//!
//! Teleport answers every call of a deleted user with `NOT_FOUND`, as if the requested object did not exist, and every
//! call of a locked user with `PERMISSION_DENIED`, as if the role did not allow it. `Ping` needs no permission and no
//! object, so its answer shows which of the two it is.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::teleport::error::shortened;
use crate::teleport::{Client, Error, Meaning};

/// The last known state of our own user. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller(Arc<Mutex<Option<PingResult>>>);

/// The result of the last `Ping`, and when it was sent.
#[derive(Debug)]
struct PingResult {
    sent: Instant,
    answer: Result<(), Error>,
}

impl Client {
    /// Returns what a rejection means: the error itself if Teleport knows our user, otherwise an error about the user.
    pub(super) async fn judge(&self, error: Error) -> Error {
        if !matches!(error.meaning(), Meaning::NotFound | Meaning::Denied) {
            return error;
        }
        let rejected = Instant::now();
        let mut last = self.caller().0.lock().await;
        // A burst of rejections pings once. Only a ping that was sent after a rejection can explain it.
        let answer = match &*last {
            Some(last) if last.sent >= rejected => last.answer.clone(),
            _ => {
                let sent = Instant::now();
                let answer = Box::pin(self.ping()).await.map(|_| ());
                *last = Some(PingResult {
                    sent,
                    answer: answer.clone(),
                });
                answer
            }
        };
        match answer {
            Err(about_our_user) if about_our_user.meaning() == Meaning::Caller => {
                about_our_user.while_doing(error.doing())
            }
            // It remains unknown whether the object exists.
            Err(unknown) if error.meaning() == Meaning::NotFound => unknown.while_doing(error.doing()),
            Ok(()) | Err(_) => error,
        }
    }

    /// Turns a rejected `Ping` into an error about our user.
    pub(super) fn about_our_user(&self, error: Error) -> Error {
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
