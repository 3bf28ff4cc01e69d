//! The tokens that open Microsoft's services.
//!
//! A token serves until shortly before its end. It is renewed long before, beside the sends, so that no send waits for the
//! login service while that is slow or down.
//!
//! Architecture Invariant: neither a token nor the secret is ever part of an error.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::backoff::Backoff;
use crate::config::Endpoints;
use crate::heartbeat::Heartbeat;
use crate::msteams::answer::Answer;
use crate::msteams::call_event::{CallEvent, Endpoint};
use crate::msteams::credential::Credential;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::http::Http;
use crate::msteams::permissions::Permission;
use crate::msteams::single_flight::SingleFlight;
use crate::secret::Secret;

/// The token of one scope.
pub(crate) struct Token {
    http: Http,
    operation: Operation,
    /// The service that it opens.
    service: Endpoint,
    credential: Arc<Credential>,
    scope: String,
    issued: SingleFlight<Issued>,
}

/// A token, and when it is no longer fit for use.
#[derive(Clone)]
pub(crate) struct Issued {
    /// Shared: it is asked for with every send, and every second by those who watch whether there is one.
    value: Arc<Secret>,
    /// What it was asked for with.
    secret: Arc<Secret>,
    renew_at: Instant,
    ends_at: Instant,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    #[serde(default = "unknown_lifetime")]
    expires_in: u64,
}

/// A token is not used in its last moments: it could end on the way, and the clocks differ.
const SAFETY: Duration = Duration::from_mins(1);

/// So early is a token renewed; what goes wrong then has time to come right.
const EARLY: Duration = Duration::from_mins(5);

/// Longer lives than a day are not given out, and not believed.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// A token that says it is over already serves for this long all the same, or until a service refuses it: whatever the
/// login service says, it is not asked more often.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);

/// After a refusal a new secret helps, which is tried at once, or a change of the app's registration, which takes minutes to
/// be known everywhere.
const AFTER_REFUSAL: Duration = Duration::from_mins(1);
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Whoever waits for a card waits for this, too.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

impl Token {
    pub(crate) fn new(http: &Http, endpoints: &Endpoints, credential: &Arc<Credential>, service: Endpoint) -> Self {
        let (operation, scope) = match service {
            Endpoint::Bot => (Operation::BotToken, &endpoints.bot_scope),
            Endpoint::Graph | Endpoint::Login => (Operation::GraphToken, &endpoints.graph_scope),
        };
        Self {
            http: http.clone(),
            operation,
            service,
            credential: Arc::clone(credential),
            scope: scope.clone(),
            issued: SingleFlight::new(),
        }
    }

    /// Returns a token that is good for the next minute.
    pub(crate) async fn get(&self) -> Result<Arc<Secret>, Error> {
        let usable = |issued: &Issued| Instant::now() < issued.ends_at;
        if let Some(issued) = self.issued.held().filter(usable) {
            return Ok(issued.value);
        }
        // In a box, so that the many who wait for the one who fetches stay small.
        Ok(self.issued.get(usable, Box::pin(self.fetch())).await?.value)
    }

    /// Tells whether there is a token that is good for the next minute.
    pub(crate) fn is_held(&self) -> bool {
        self.issued.held().is_some_and(|issued| Instant::now() < issued.ends_at)
    }

    /// Returns what the token says was granted to the app; `None` if it cannot be read.
    pub(crate) async fn roles(&self) -> Result<Option<Vec<String>>, Error> {
        Ok(roles(self.get().await?.expose()))
    }

    /// Tells whether the token at hand says that this permission was granted; it does not know of one granted since.
    pub(crate) fn has(&self, permission: &Permission) -> bool {
        let held = self.issued.held().and_then(|issued| roles(issued.value.expose()));
        held.is_some_and(|roles| roles.iter().any(|role| permission.serves(role)))
    }

    /// Drops the token if it is still the one that a service refused.
    pub(crate) fn refused(&self, value: &Secret) {
        self.issued.forget_if(|issued| *issued.value == *value);
    }

    /// Gets a token with the secret that is in force now, whatever failed before. The one at hand serves until then.
    pub(crate) async fn prove(&self) -> Result<(), Error> {
        self.issued.forget_failures();
        self.fresh().await.map(|_| ())
    }

    /// Returns a token that was asked for with the secret in force, and has some of its life before it.
    async fn fresh(&self) -> Result<Issued, Error> {
        let fresh = |issued: &Issued| Instant::now() < issued.renew_at && self.credential.is_current(&issued.secret);
        self.issued.get(fresh, Box::pin(self.fetch())).await
    }

    /// Keeps a fresh token at hand, for ever.
    pub(crate) async fn keep(&self, heartbeat: &Heartbeat) -> Infallible {
        let mut secrets = self.credential.replacements();
        let mut failures = Backoff::new(AFTER_FAILURE, LONGEST_PAUSE);
        let mut refusals = Backoff::new(AFTER_REFUSAL, LONGEST_PAUSE);
        loop {
            let next = match heartbeat.while_waiting(self.fresh()).await {
                Ok(issued) => {
                    failures.reset();
                    refusals.reset();
                    issued.renew_at.max(Instant::now() + SHORTEST_LIFE)
                }
                Err(error) => {
                    debug!(error = %error, "Could not renew a token");
                    let refused = error.meaning() == Meaning::Credentials;
                    let pauses = if refused { &mut refusals } else { &mut failures };
                    Instant::now() + pauses.pause()
                }
            };
            // The sender lives as long as `self`.
            let replaced = heartbeat.while_waiting(timeout_at(next, secrets.changed())).await;
            if replaced.is_ok() {
                self.issued.forget_failures();
            }
        }
    }

    async fn fetch(&self) -> Result<Issued, Error> {
        let outcome = self.tries().await;
        let given = outcome.is_ok();
        let observer = self.http.observer();
        observer.hear(CallEvent::TokenAsked {
            service: self.service,
            given,
        });
        observer.outcome(Endpoint::Login, outcome)
    }

    async fn tries(&self) -> Result<Issued, Error> {
        let secret = self.credential.current();
        let request = self.credential.request(self.operation, &self.scope, &secret);
        let mut attempts = self.http.attempts();
        loop {
            let asked = Instant::now();
            let outcome = self.http.exchange(&request, None).await;
            match outcome.and_then(|answer| self.grant(&answer)) {
                Ok(grant) => return Ok(Issued::new(&grant, secret, asked)),
                Err(error) => {
                    self.http.first_sign(&error, &attempts);
                    sleep(attempts.after(error)?).await;
                }
            }
            self.http.count_retry(&request);
        }
    }

    /// Reads the token, which must be fit for a header.
    fn grant(&self, answer: &Answer) -> Result<Grant, Error> {
        let host = self.credential.login_host();
        let hint = hint_with!("Check what answers at {host}: a proxy or a gateway on the path may change answers");
        let grant = answer
            .json::<Grant>()
            .map_err(|error| error.with_hint(Some(hint.clone())))?;
        let fits = |byte: u8| byte.is_ascii_graphic();
        if grant.access_token.is_empty() || !grant.access_token.bytes().all(fits) {
            let error = Error::new(self.operation, Meaning::Protocol, Retry::Later(None));
            let detail = "the login service answered with something that is not a token";
            return Err(error.detail(detail).with_hint(Some(hint)));
        }
        Ok(grant)
    }
}

impl Issued {
    /// Counts from when the token was asked for, since nobody knows when it was made.
    fn new(grant: &Grant, secret: Secret, asked: Instant) -> Self {
        let life = Duration::from_secs(grant.expires_in).min(LONGEST_LIFE);
        Self {
            value: Arc::new(Secret::new(&grant.access_token)),
            secret: Arc::new(secret),
            renew_at: asked + life - EARLY.min(life / 2),
            ends_at: asked + life.saturating_sub(SAFETY.min(life / 4)).max(SHORTEST_LIFE),
        }
    }
}

/// Reads the `roles` of a JSON web token, without checking it: it comes from the login service itself. A token without the
/// claim grants nothing.
fn roles(token: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        roles: Vec<String>,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(claims.roles)
}

/// Returns what to assume of a token that does not tell, in seconds: the shortest that Microsoft gives out.
fn unknown_lifetime() -> u64 {
    5 * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_early_and_not_used_at_its_end() {
        let asked = Instant::now();
        let issued = |expires_in| {
            let access_token = "x".to_owned();
            let issued = Issued::new(
                &Grant {
                    access_token,
                    expires_in,
                },
                Secret::new("secret"),
                asked,
            );
            ((issued.renew_at - asked).as_secs(), (issued.ends_at - asked).as_secs())
        };
        assert_eq!(issued(3599), (3299, 3539));
        assert_eq!(issued(120), (60, 90));
        assert_eq!(issued(0), (0, 10));
        assert_eq!(issued(u64::MAX), (24 * 3600 - 300, 24 * 3600 - 60));
    }
}
