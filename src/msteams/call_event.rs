//! What happens on the way to Microsoft, for whoever counts it and tells of it.
//!
//! Architecture Invariant: hands values over, at once and in order; what becomes of them is decided elsewhere.

use std::sync::Arc;
use std::time::Duration;

use crate::msteams::error::{Error, Meaning};

/// Which of Microsoft's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Gives out tokens.
    Login,
    Graph,
    /// The Bot connector.
    Bot,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub enum CallEvent<'a> {
    /// A request is sent once more.
    Retried(Endpoint),
    /// The service asked to slow down (429), and for how long if it said so.
    Throttled(Endpoint, Option<Duration>),
    /// A call came to its end, be it with a refusal of what was asked for.
    Answered(Endpoint),
    /// An attempt of a call took long or is followed by a long pause, and the call goes on.
    Retrying(Endpoint, &'a Error),
    /// A call failed, after all its attempts, for a reason that concerns every other call too.
    Failed(Endpoint, &'a Error),
    /// A token for a service was asked for, and given or not.
    TokenAsked { service: Endpoint, given: bool },
}

/// Hears of everything that happens; clones are the same.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(CallEvent<'_>) + Send + Sync>);

impl Observer {
    /// Calls `hear` for each event. It must be quick: the call waits for it.
    pub fn new(hear: impl Fn(CallEvent<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Listens to nothing.
    pub fn nobody() -> Self {
        Self::new(|_| {})
    }

    pub(crate) fn hear(&self, event: CallEvent<'_>) {
        (self.0)(event);
    }

    /// Takes how a call of a service ended, and hands the outcome on.
    pub(crate) fn outcome<T>(&self, endpoint: Endpoint, outcome: Result<T, Error>) -> Result<T, Error> {
        match &outcome {
            Ok(_) => self.hear(CallEvent::Answered(endpoint)),
            // A token that could not be had was told of where it was asked for.
            Err(error) if error.endpoint() != endpoint => {}
            Err(error) => match error.meaning() {
                Meaning::Credentials | Meaning::Unreachable | Meaning::Protocol => {
                    self.hear(CallEvent::Failed(endpoint, error));
                }
                // Throttling is told of with each answer that asks for it.
                Meaning::Stopped | Meaning::Throttled => {}
                _ => self.hear(CallEvent::Answered(endpoint)),
            },
        }
        outcome
    }
}
