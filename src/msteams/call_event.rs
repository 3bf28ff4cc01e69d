//! Events of calls to Microsoft, for metrics and logs.
//!
//! Architecture Invariant: passes events on immediately and in order; the observer decides what to do with them.

use std::sync::Arc;
use std::time::Duration;

use crate::msteams::error::{Error, Meaning};

/// One of Microsoft's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The login service, which issues tokens.
    Login,
    Graph,
    /// The Bot connector.
    Bot,
}

/// One event of a call.
#[derive(Clone, Copy, Debug)]
pub enum CallEvent<'a> {
    /// A request is sent again.
    Retried(Endpoint),
    /// The service throttles us (429), with the pause if it named one.
    Throttled(Endpoint, Option<Duration>),
    /// A call has ended, with a success or with a rejection of the request.
    Answered(Endpoint),
    /// An attempt of a call took long or is followed by a long pause, and the call continues.
    Retrying(Endpoint, &'a Error),
    /// A call failed after all its attempts, for a reason that affects every other call too.
    Failed(Endpoint, &'a Error),
    /// A token for a service was requested, and issued or not.
    TokenAsked { service: Endpoint, given: bool },
}

/// Receives every event. Clones share the receiver.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(CallEvent<'_>) + Send + Sync>);

impl Observer {
    /// Calls `notify` for each event. It must be quick: the call waits for it.
    pub fn new(notify: impl Fn(CallEvent<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(notify))
    }

    /// Ignores every event.
    pub fn ignore() -> Self {
        Self::new(|_| {})
    }

    pub(crate) fn notify(&self, event: CallEvent<'_>) {
        (self.0)(event);
    }

    /// Reports the outcome of a call to a service, and returns it.
    pub(crate) fn outcome<T>(&self, endpoint: Endpoint, outcome: Result<T, Error>) -> Result<T, Error> {
        match &outcome {
            Ok(_) => self.notify(CallEvent::Answered(endpoint)),
            // A token that could not be issued was reported by the token request.
            Err(error) if error.endpoint() != endpoint => {}
            Err(error) => match error.meaning() {
                Meaning::Credentials | Meaning::Unreachable | Meaning::Protocol => {
                    self.notify(CallEvent::Failed(endpoint, error));
                }
                // Throttling is reported with each answer that requests a pause.
                Meaning::Stopped | Meaning::Throttled => {}
                _ => self.notify(CallEvent::Answered(endpoint)),
            },
        }
        outcome
    }
}
