//! Calls of one service: with a token, within its limits, and repeated where that is safe.
//!
//! Architecture Invariant: a token goes only to the service it is for; every attempt waits for its own permit.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::Limits;
use crate::msteams::answer::Answer;
use crate::msteams::batch::Batches;
use crate::msteams::call_event::Endpoint;
use crate::msteams::call_queue::Caller;
use crate::msteams::error::{Error, Meaning, Retry};
use crate::msteams::http::{Http, Request};
use crate::msteams::pace::PaceLimits;
use crate::msteams::pacing::Pacer;
use crate::msteams::paths::join;
use crate::msteams::permissions::Permission;
use crate::msteams::token::Token;

/// Graph or the Bot connector.
pub(crate) struct Service {
    http: Http,
    base: Url,
    token: Token,
    pacer: Pacer,
    /// Combines look-ups, if the service has batches.
    batches: Option<Batches>,
    /// How long sends to a conversation pause after a timeout. Longer than any call waits in place, so that waiting
    /// calls fail immediately.
    unresponsive_pause: Duration,
    /// When a new token was last refused too.
    token_refused_at: Mutex<Option<Instant>>,
}

/// While new tokens are refused, requesting one with every send would only add load.
const NO_NEW_TOKEN_FOR: Duration = Duration::from_secs(30);

/// Most answers take a few hundred milliseconds. Slower calls do not delay others.
const SILENT_AFTER: Duration = Duration::from_secs(2);

impl Service {
    pub(crate) fn new(http: &Http, base: &Url, token: Token, pace: PaceLimits, limits: &Limits) -> Self {
        Self {
            http: http.clone(),
            base: base.clone(),
            token,
            pacer: Pacer::new(pace, limits.microsoft_longest_pause),
            unresponsive_pause: limits.microsoft_longest_pause * 2,
            batches: None,
            token_refused_at: Mutex::new(None),
        }
    }

    /// Combines look-ups that are made at the same time.
    pub(crate) fn with_batches(self) -> Self {
        Self {
            batches: Some(Batches::new(&self.base)),
            ..self
        }
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Returns the number of requests that wait for their permit.
    pub(crate) fn waiting(&self) -> usize {
        self.pacer.waiting()
    }

    /// Returns the URL of a path below the service's base.
    pub(crate) fn url(&self, segments: &[&str], query: Option<&str>) -> Url {
        join(&self.base, segments, query)
    }

    /// Returns the URL of a link from the service, if it points to the service.
    pub(crate) fn own_url(&self, link: &str) -> Option<Url> {
        Url::parse(link).ok().filter(|url| url.origin() == self.base.origin())
    }

    /// Sends a request until it succeeds, is rejected, or the attempts are used up.
    ///
    /// After `stop` is cancelled no further exchange begins; an exchange that has begun is completed.
    pub(crate) async fn call(
        &self,
        request: &Request,
        caller: Caller<'_>,
        stop: &CancellationToken,
    ) -> Result<Answer, Error> {
        let outcome = self.tries(request, caller, stop).await;
        let outcome = outcome.map_err(|error| self.correct_hint(error));
        self.http.observer().outcome(request.operation.endpoint(), outcome)
    }

    /// Corrects the hint for an unexplained rejection: a permission in the token does not need to be granted.
    fn correct_hint(&self, error: Error) -> Error {
        if error.meaning() != Meaning::Denied || error.has_detail() {
            return error;
        }
        match Permission::of(error.operation()).filter(|permission| self.token.has(permission)) {
            Some(permission) => error.with_hint(Some(hint_with!(
                "Check the account, license and app permission policy of the user in the Teams admin center; {} is granted",
                permission.least
            ))),
            None => error,
        }
    }

    async fn tries(&self, request: &Request, caller: Caller<'_>, stop: &CancellationToken) -> Result<Answer, Error> {
        let key = caller.key;
        let mut attempts = self.http.attempts();
        let mut refused = false;
        // What failed in a batch is retried alone.
        let mut batches = self.batches.as_ref().filter(|_| request.operation.is_look_up());
        loop {
            let error = match self.attempt(request, caller, stop, batches.take(), &mut refused).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.endpoint() == Endpoint::Login {
                // The login service has had its own attempts.
                return Err(error);
            }
            let throttled = error.meaning() == Meaning::Throttled;
            if key.is_empty() {
                self.http.report_early(&error, &attempts);
            } else if error.is_timeout() {
                // Other calls should not wait as long for a conversation that does not answer.
                self.pacer.pause(key, self.unresponsive_pause);
            }
            let pause = attempts.after(error);
            if throttled && let Some(pause) = asked_pause(&pause) {
                // Other calls to the same key pause too, instead of being throttled themselves.
                self.pacer.pause(key, pause);
            }
            tokio::select! {
                () = stop.cancelled() => return Err(stopped(request)),
                () = sleep(pause?) => {}
            }
            self.http.count_retry(request);
        }
    }

    /// Sends a request once, and a second time if the token is refused.
    async fn attempt(
        &self,
        request: &Request,
        caller: Caller<'_>,
        stop: &CancellationToken,
        batches: Option<&Batches>,
        refused: &mut bool,
    ) -> Result<Answer, Error> {
        loop {
            let turn = async {
                // A permit must not be held during a token request. After the wait for the permit the token is already
                // available.
                self.token.get().await?;
                let turn = self.pacer.enter(caller).await;
                turn.map_err(|pause| paused(request, pause))
            };
            let mut permit = tokio::select! {
                () = stop.cancelled() => return Err(stopped(request)),
                permit = turn => permit?,
            };
            let token = self.token.get().await?;
            // Boxed, so that the futures of the many waiting calls stay small.
            let mut exchange = pin!(Box::pin(async {
                match batches {
                    Some(batches) => batches.exchange(&self.http, request, token.expose()).await,
                    None => self.http.exchange(request, Some(token.expose())).await,
                }
            }));
            let outcome = if let Ok(outcome) = timeout(SILENT_AFTER, &mut exchange).await {
                outcome
            } else {
                permit.mark_silent();
                exchange.await
            };
            let meaning = outcome.as_ref().err().map(Error::meaning);
            if !matches!(
                meaning,
                Some(Meaning::Throttled | Meaning::Unreachable | Meaning::Protocol)
            ) {
                permit.answered();
            }
            drop(permit);
            let unauthorized = matches!(&outcome, Err(error) if error.status() == Some(401));
            if !unauthorized || !self.renews(*refused) {
                return outcome;
            }
            *refused = true;
            self.token.refused(&token);
            self.http.count_retry(request);
        }
    }

    /// Returns whether to request a new token after a refusal; `second_refusal` means that this one was new.
    fn renews(&self, second_refusal: bool) -> bool {
        let now = Instant::now();
        let mut refused_at = self.token_refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        if second_refusal {
            *refused_at = Some(now);
        }
        refused_at.is_none_or(|at| now > at + NO_NEW_TOKEN_FOR)
    }
}

/// Returns the pause that Microsoft requested, whether or not another attempt follows.
fn asked_pause(pause: &Result<Duration, Error>) -> Option<Duration> {
    match pause.as_ref().map_err(Error::retry) {
        Ok(pause) => Some(*pause),
        Err(Retry::Later(pause)) => pause,
        Err(Retry::Never | Retry::FateUnknown) => None,
    }
}

fn paused(request: &Request, pause: Duration) -> Error {
    Error::new(request.operation, Meaning::Throttled, Retry::Later(Some(pause)))
        .detail("sends to this conversation are paused after throttling or a timeout")
}

fn stopped(request: &Request) -> Error {
    Error::new(request.operation, Meaning::Stopped, Retry::Later(None))
}
