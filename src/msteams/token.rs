//! The tokens for Microsoft's services.
//!
//! A token is used until shortly before it expires. It is renewed long before that, in the background, so that no send
//! waits for the login service while that is slow or down.
//!
//! Architecture Invariant: neither a token nor the secret is ever part of an error.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::backoff::Backoff;
use crate::clock;
use crate::config::Endpoints;
use crate::heartbeat::Heartbeat;
use crate::msteams::aadsts;
use crate::msteams::answer::Answer;
use crate::msteams::app_claims::{claims, roles};
use crate::msteams::call_event::{CallEvent, Endpoint};
use crate::msteams::credential::{ActiveCredential, Credential, Purpose};
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::grant::Grant;
use crate::msteams::http::Http;
use crate::msteams::permissions::Permission;
use crate::msteams::single_flight::SingleFlight;
use crate::secret::Secret;

/// The token of one scope.
pub(crate) struct Token {
    http: Http,
    operation: Operation,
    /// The service that accepts it.
    service: Endpoint,
    credential: Arc<Credential>,
    scope: String,
    issued: SingleFlight<Issued>,
}

/// A token, and when to stop using it.
#[derive(Clone)]
pub(crate) struct Issued {
    /// Shared: every send requests it, and the health check every second.
    value: Arc<Secret>,
    /// The credential that requested it.
    generation: u64,
    renew_at: Instant,
    ends_at: Instant,
}

/// A token is not used in its last minute: it could expire on the way, and clocks differ.
const SAFETY: Duration = Duration::from_mins(1);

/// Tokens are renewed this long before they expire, so that failures have time to be fixed.
const EARLY: Duration = Duration::from_mins(5);

/// Longer lifetimes are capped; Microsoft issues none.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// Shortest time that a token is used, even if the login service says that it has already expired, unless a service
/// refuses it. It limits the rate of token requests.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);

/// Pause after a refusal. The cause is fixed by a new credential, which is tried immediately, or by a change of the app
/// registration, which takes minutes to propagate.
const AFTER_REFUSAL: Duration = Duration::from_mins(1);
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Longest pause between attempts. Cards wait for it.
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

    /// Returns a token that is valid for at least a minute.
    pub(crate) async fn get(&self) -> Result<Arc<Secret>, Error> {
        let usable = |issued: &Issued| Instant::now() < issued.ends_at;
        if let Some(issued) = self.issued.held().filter(usable) {
            return Ok(issued.value);
        }
        // Boxed, so that the futures of the many waiting callers stay small.
        Ok(self.issued.get(usable, Box::pin(self.fetch())).await?.value)
    }

    /// Returns whether there is a token that is valid for at least a minute.
    pub(crate) fn is_held(&self) -> bool {
        self.issued.held().is_some_and(|issued| Instant::now() < issued.ends_at)
    }

    /// Returns the permissions in the token; `None` if they cannot be read.
    pub(crate) async fn roles(&self) -> Result<Option<Vec<String>>, Error> {
        Ok(roles(self.get().await?.expose()))
    }

    /// Returns the client ID of the app in the token; `None` if it cannot be read.
    pub(crate) async fn app(&self) -> Result<Option<String>, Error> {
        Ok(claims(self.get().await?.expose()).and_then(|claims| claims.appid.or(claims.azp)))
    }

    /// Returns whether the current token has this permission. The token does not show permissions that were granted
    /// later.
    pub(crate) fn has(&self, permission: &Permission) -> bool {
        let held = self.issued.held().and_then(|issued| roles(issued.value.expose()));
        held.is_some_and(|roles| roles.iter().any(|role| permission.serves(role)))
    }

    /// Drops the token if it is still the one that a service refused.
    pub(crate) fn refused(&self, value: &Secret) {
        self.issued.forget_if(|issued| *issued.value == *value);
    }

    /// Requests a token with the current credential, whatever failed before. The current token stays in use until then.
    pub(crate) async fn verify(&self) -> Result<(), Error> {
        self.issued.forget_failures();
        self.fresh().await.map(|_| ())
    }

    /// Returns a token that was requested with the current credential and is not due for renewal.
    async fn fresh(&self) -> Result<Issued, Error> {
        let fresh = |issued: &Issued| {
            Instant::now() < issued.renew_at && issued.generation == self.credential.current().generation()
        };
        self.issued.get(fresh, Box::pin(self.fetch())).await
    }

    /// Renews the token before it expires, until shutdown.
    pub(crate) async fn keep(&self, heartbeat: &Heartbeat) -> Infallible {
        let mut replaced = self.credential.replacements();
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
            let changed = heartbeat.while_waiting(timeout_at(next, replaced.changed())).await;
            if changed.is_ok() {
                self.issued.forget_failures();
            }
        }
    }

    async fn fetch(&self) -> Result<Issued, Error> {
        let outcome = self.tries().await;
        let given = outcome.is_ok();
        let observer = self.http.observer();
        observer.notify(CallEvent::TokenAsked {
            service: self.service,
            given,
        });
        observer.outcome(Endpoint::Login, outcome)
    }

    /// Requests a token with each client secret until Microsoft accepts one.
    async fn tries(&self) -> Result<Issued, Error> {
        let active = self.credential.current();
        let mut tried = 0;
        let mut outcome = Err(Error::new(self.operation, Meaning::Credentials, Retry::Later(None)));
        for position in active.positions() {
            tried += 1;
            outcome = self.tries_with(&active, position).await;
            match &outcome {
                Ok(_) => active.accept(position),
                Err(error) if error.code().is_some_and(aadsts::rejects_secret) => continue,
                Err(_) => {}
            }
            return outcome;
        }
        outcome.map_err(|error| match tried {
            2.. => error.detail(format!("Microsoft rejects each of the {tried} client secrets")),
            _ => error,
        })
    }

    async fn tries_with(&self, active: &ActiveCredential, position: usize) -> Result<Issued, Error> {
        let mut attempts = self.http.attempts();
        loop {
            let asked = Instant::now();
            let outcome = self
                .credential
                .exchange(&self.http, self.purpose(), active, position)
                .await;
            match outcome.and_then(|answer| self.grant(&answer, active)) {
                Ok(grant) => return Ok(Issued::new(&grant, active.generation(), asked)),
                Err(error) => {
                    self.http.report_early(&error, &attempts);
                    sleep(attempts.after(error)?).await;
                }
            }
            self.http.observer().notify(CallEvent::Retried(Endpoint::Login));
        }
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose {
            scope: &self.scope,
            operation: self.operation,
            identity: match self.service {
                Endpoint::Bot => Operation::BotIdentity,
                Endpoint::Graph | Endpoint::Login => Operation::GraphIdentity,
            },
        }
    }

    /// Parses the token, which must be valid in a header.
    fn grant(&self, answer: &Answer, active: &ActiveCredential) -> Result<Grant, Error> {
        let host = self.credential.host(&active.credential);
        let hint = hint_with!("Check what answers at {host}: a proxy or a gateway on the path may change answers");
        let grant = answer
            .json::<Grant>()
            .map_err(|error| error.with_hint(Some(hint.clone())))?;
        let fits = |byte: u8| byte.is_ascii_graphic();
        if grant.access_token.is_empty() || !grant.access_token.bytes().all(fits) {
            let error = Error::new(self.operation, Meaning::Protocol, Retry::Later(None));
            let detail = "the answer contains something that is not a token";
            return Err(error.detail(detail).with_hint(Some(hint)));
        }
        Ok(grant)
    }
}

impl Issued {
    /// Counts the lifetime from the request, because the time of issue is unknown.
    fn new(grant: &Grant, generation: u64, asked: Instant) -> Self {
        let life = Duration::from_secs(grant.life(clock::now())).min(LONGEST_LIFE);
        Self {
            value: Arc::new(Secret::new(&grant.access_token)),
            generation,
            renew_at: asked + life - EARLY.min(life / 2),
            ends_at: asked + life.saturating_sub(SAFETY.min(life / 4)).max(SHORTEST_LIFE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_early_and_not_used_at_its_end() {
        let asked = Instant::now();
        let issued = |expires_in| {
            let json = format!(r#"{{"access_token":"x","expires_in":{expires_in}}}"#);
            let grant = serde_json::from_str(&json).unwrap();
            let issued = Issued::new(&grant, 0, asked);
            ((issued.renew_at - asked).as_secs(), (issued.ends_at - asked).as_secs())
        };
        assert_eq!(issued(3599), (3299, 3539));
        assert_eq!(issued(120), (60, 90));
        assert_eq!(issued(0), (0, 10));
        assert_eq!(issued(u64::MAX), (24 * 3600 - 300, 24 * 3600 - 60));
    }
}
