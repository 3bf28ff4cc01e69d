//! Turns one press into a review, or into the reason why not.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use crate::clock;
use crate::config::ReviewSettings;
use crate::daemon::actions::users::{self, Found, Users};
use crate::daemon::context::Context;
use crate::domain::request::{AccessRequest, RequestId};
use crate::domain::review::{Intent, Outcome, Refusal, Rejection, Submission, decide, explain};
use crate::msteams::inbound::Press;
use crate::teleport;
use crate::teleport::{Error, Meaning};

/// How long failed calls are repeated. Afterwards the person repeats the press, which is safe.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// How often a request is read after a rejection that it does not explain yet, because the server's cache may lag.
const READINGS: u32 = 4;

/// The result of a press.
#[derive(Clone, Debug)]
pub(super) struct Reviewed {
    pub(super) outcome: Outcome,
    /// The request after a successful review, if it could be read.
    pub(super) request: Option<Arc<AccessRequest>>,
}

/// What the log says about a press, beyond its outcome.
#[derive(Debug, Default)]
struct Account {
    user: Option<String>,
    error: Option<String>,
    hint: Option<String>,
}

/// Submits the review that a press asks for, and logs the press. It ends by itself: every call has a timeout.
pub(super) async fn review(press: &Press, context: &Context, users: &Users) -> Reviewed {
    let begun = Instant::now();
    let mut account = Account::default();
    let live = context.live.current();
    let reviewed = if !live.review.enabled {
        refused(Refusal::TurnedOff)
    } else if !context.knows_reviews {
        refused(Refusal::OldServer)
    } else {
        attempt(press, context, users, &live.review, &mut account).await
    };
    let took = begun.elapsed();
    report(press, reviewed.outcome, Some(took), account, context);
    reviewed
}

/// Logs and counts a press that was refused without a look at Teleport.
pub(super) fn refuse(press: &Press, refusal: Refusal, context: &Context) -> Reviewed {
    let reviewed = refused(refusal);
    report(press, reviewed.outcome, None, Account::default(), context);
    reviewed
}

fn report(press: &Press, outcome: Outcome, took: Option<Duration>, account: Account, context: &Context) {
    context.metrics.reviewed(press.verb, outcome);
    let Account { user, error, hint } = account;
    info!(
        person = press.person.object_id,
        user,
        request.id = press.request,
        verb = press.verb.as_str(),
        outcome = outcome.as_str(),
        took = took.map(clock::readable),
        error,
        hint,
        "Review button pressed"
    );
}

async fn attempt(
    press: &Press,
    context: &Context,
    users: &Users,
    settings: &ReviewSettings,
    account: &mut Account,
) -> Reviewed {
    let id = RequestId::new(&press.request);
    let until = Instant::now() + PATIENCE;
    let (user, request) = tokio::join!(
        patiently(until, || users.of(&press.person, settings, context)),
        patiently(until, || context.client.request(&id)),
    );
    let user = match user {
        Ok(Found::One(user)) => user,
        Ok(Found::None) => return refused(Refusal::UnknownPerson),
        Ok(Found::Several) => return refused(Refusal::SeveralUsers),
        Err(error) => return account.of_look_up(&error),
    };
    account.user = Some(teleport::shortened(&user));
    let request = match request {
        Ok(request) => request,
        Err(error) => return account.failed(&error),
    };
    let intent = Intent {
        user: &user,
        verb: press.verb,
        has_reason: press.reason.is_some(),
    };
    let decided = |request: Option<AccessRequest>| {
        let outcome = decide(request.as_ref(), intent, settings.reason, clock::now())?;
        let request = request.filter(|_| outcome.is_success()).map(Arc::new);
        Some(Reviewed { outcome, request })
    };
    if let Some(reviewed) = decided(request) {
        return reviewed;
    }
    // Whether an earlier submission may have been accepted.
    let mut is_unconfirmed = false;
    let submission = Submission::new(id.clone(), &user, press.verb, press.reason.clone());
    loop {
        let error = match context.client.submit_review(&submission).await {
            Ok(request) => {
                return Reviewed {
                    outcome: Outcome::Submitted,
                    request: request.map(Arc::new),
                };
            }
            Err(error) => error,
        };
        let rejection = teleport::rejection(&error, &user);
        is_unconfirmed |= rejection.is_none();
        let readings = match rejection {
            // The request shows who decided how, as soon as the server's cache has it.
            Some(Rejection::Reviewed | Rejection::Resolved | Rejection::Gone) => READINGS,
            // If the answer was lost, or another write came first, the review may be there.
            Some(Rejection::NoUser | Rejection::NotForUser | Rejection::NotAllowed) | None => 1,
        };
        for reading in 0..readings {
            if reading > 0 || rejection.is_none() {
                sleep(PAUSE).await;
            }
            let read = context.client.request(&id).await;
            if let Some(reviewed) = read.ok().and_then(decided) {
                return reviewed;
            }
        }
        if let Some(rejection) = rejection {
            account.note(&error);
            let may_be_own = is_unconfirmed && matches!(rejection, Rejection::Reviewed | Rejection::Resolved);
            if rejection == Rejection::NoUser {
                users.forget(&press.person, settings);
            }
            return refused(if may_be_own {
                Refusal::NoAnswer
            } else {
                explain(rejection)
            });
        }
        if Instant::now() >= until {
            return account.failed(&error);
        }
    }
}

/// Repeats a call until it succeeds, fails for good, or `until`.
async fn patiently<T, E, F>(until: Instant, call: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: Temporary,
{
    loop {
        match call().await {
            Err(error) if error.is_temporary() && Instant::now() + PAUSE < until => sleep(PAUSE).await,
            done => return done,
        }
    }
}

/// A failure that may pass.
trait Temporary {
    fn is_temporary(&self) -> bool;
}

impl Temporary for Error {
    fn is_temporary(&self) -> bool {
        matches!(self.meaning(), Meaning::Unreachable | Meaning::Exhausted)
    }
}

impl Temporary for users::Error {
    fn is_temporary(&self) -> bool {
        match self {
            Self::Teleport(error) => error.is_temporary(),
            // The calls to Microsoft are repeated below.
            Self::Microsoft(_) => false,
        }
    }
}

impl Account {
    fn note(&mut self, error: &Error) {
        self.error = Some(error.to_string());
        self.hint = error.hint().map(str::to_owned);
    }

    /// Returns the outcome of a call that failed.
    fn failed(&mut self, error: &Error) -> Reviewed {
        self.note(error);
        refused(match error.meaning() {
            Meaning::Denied => Refusal::NoPermission,
            _ => Refusal::NoAnswer,
        })
    }

    fn of_look_up(&mut self, error: &users::Error) -> Reviewed {
        match error {
            users::Error::Teleport(error) => match error.meaning() {
                Meaning::Unsupported => {
                    self.note(error);
                    refused(Refusal::OldServer)
                }
                _ => self.failed(error),
            },
            users::Error::Microsoft(error) => {
                self.error = Some(error.to_string());
                self.hint = error.hint().map(str::to_owned);
                refused(Refusal::NoAnswer)
            }
        }
    }
}

pub(super) fn refused(refusal: Refusal) -> Reviewed {
    Reviewed {
        outcome: Outcome::Refused(refusal),
        request: None,
    }
}
