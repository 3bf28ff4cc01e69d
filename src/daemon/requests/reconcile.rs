//! The five steps for one request: gather, decide, claim, deliver, settle.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use tracing::warn;

use crate::clock;
use crate::config::Limits;
use crate::daemon::context::Context;
use crate::daemon::requests::claiming::{Claimed, claim, holds_since, others_turn};
use crate::daemon::requests::deliver::{Job, deliver, until};
use crate::daemon::requests::lanes::News;
use crate::daemon::requests::memory::Memory;
use crate::daemon::requests::routing::route;
use crate::daemon::requests::turns::Turn;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::{Facts, Lease, Observed, Plan, Record, RefusalPauses, Run, Step, Stored, Why, plan};
use crate::domain::recipients::{Address, Recipients};
use crate::domain::request::{RequestId, Stage};
use crate::domain::rules::Route;
use crate::teleport::Error;

/// How often a request is looked at again in one run because somebody else wrote first. Beyond that the two of us are
/// racing, and a pause helps more.
const LOST_CLAIMS: usize = 4;

/// How a run ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Everything is as it should be, as far as it can be.
    Settled,
    /// Look again after this pause.
    Again(Duration),
    /// The request changed, or the daemon stops.
    Interrupted,
}

/// A plan without the deliveries that are not due yet.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// Deliveries were left out.
    pub(super) deferred: bool,
    /// When the first of them is due.
    pub(super) retry_at: Option<Instant>,
}

/// Brings the cards of one request up to date with what was observed, and with what is heard meanwhile.
pub(super) async fn reconcile(
    context: &Context,
    id: &RequestId,
    observed: &mut Observed,
    memory: &mut Memory,
    turn: &mut Turn,
    news: &mut News<'_>,
) -> Outcome {
    let mut decided = None;
    for _ in 0..LOST_CLAIMS {
        if news.is_changed() {
            return Outcome::Interrupted;
        }
        if let Err(error) = gather(context, id, observed, memory).await {
            return not_now(context, id, memory, &error);
        }
        let (rules, live) = (context.rules.current(), context.live.current());
        let found = tokio::select! {
            () = news.heard() => return Outcome::Interrupted,
            found = recipients(context, &live, observed, memory, &mut decided) => found,
        };
        let recipients = match found {
            Ok(recipients) => recipients,
            Err(error) => return not_now(context, id, memory, &error),
        };
        let record = memory.record().cloned();
        let Planned {
            plan,
            deferred,
            retry_at,
        } = planned(
            context,
            &live,
            id,
            observed,
            record.as_ref(),
            &recipients.addresses,
            memory,
        );
        let mut work = match plan {
            Plan::Nothing {
                why: Why::NoRecipients, ..
            } => {
                context.leave_untold();
                // A rule or a table that came in between does not know of this request.
                let same = Arc::ptr_eq(&rules, &context.rules.current());
                if !(same && Arc::ptr_eq(&live, &context.live.current())) {
                    return Outcome::Again(Duration::ZERO);
                }
                nothing(id, Why::NoRecipients, memory);
                return Outcome::Settled;
            }
            Plan::Nothing { why, .. } => {
                nothing(id, why, memory);
                return again_at(retry_at);
            }
            Plan::Work(work) => work,
        };
        if let Some(wait) = others_turn(context, memory) {
            debug!(request.id = %id, "Another replica is at it");
            memory.stored.doubt();
            return Outcome::Again(wait);
        }
        let begun = Instant::now();
        // In boxes from here on, since most runs find nothing to do and need no room for it.
        let claimed = Box::pin(claim(context, id, observed, decided.as_ref(), memory)).await;
        if claimed.is_ok() {
            context.troubles.teleport_works();
        }
        let forgotten = match claimed {
            Ok(Claimed::Ours) => false,
            Ok(Claimed::Lost) => continue,
            // There is nothing to write to any more, but there may be cards to update.
            Ok(Claimed::Gone | Claimed::Full) => {
                work.aim.steps.retain(|step| matches!(step, Step::Update(_)));
                true
            }
            Err(error) => return not_now(context, id, memory, &error),
        };
        if matches!(claimed, Ok(Claimed::Ours)) {
            memory.failures = 0;
            memory.again.reset();
        }
        let known = match std::mem::take(&mut memory.stored) {
            Stored::Known(known) if !work.aim.steps.is_empty() => known,
            stored => {
                memory.stored = stored;
                return unclaimed(id, memory, matches!(claimed, Ok(Claimed::Full)));
            }
        };
        let (lease, term) = (
            Lease::new(holds_since(&context.limits, begun)),
            context.limits.claim_term,
        );
        let run = Run::new(work.aim.clone(), deferred, *known, lease, term, forgotten);
        let job = Job { context, id, retry_at };
        let delivered = Box::pin(deliver(job, run, work, memory, observed, news, turn)).await;
        memory.stored = Stored::Known(Box::new(delivered.known));
        if delivered.interrupted {
            return Outcome::Interrupted;
        }
        return again_at(delivered.retry_at);
    }
    debug!(request.id = %id, "Somebody else keeps writing first");
    Outcome::Again(memory.again.pause())
}

/// Nothing was claimed: the request is gone, or its record cannot be stored.
fn unclaimed(id: &RequestId, memory: &mut Memory, full: bool) -> Outcome {
    if !full {
        debug!(request.id = %id, "The request is gone");
        return Outcome::Settled;
    }
    let hint = "another plugin may have filled the plugin data of this request";
    if memory.failures == 0 {
        warn!(request.id = %id, hint, "Plugin data of the access request are full, it cannot be announced");
    }
    memory.failures = memory.failures.saturating_add(1);
    Outcome::Again(memory.again.pause())
}

fn again_at(retry_at: Option<Instant>) -> Outcome {
    match retry_at {
        Some(at) => Outcome::Again(at.saturating_duration_since(Instant::now())),
        None => Outcome::Settled,
    }
}

/// Makes a plan, and takes out of it what is not due yet.
pub(super) fn planned(
    context: &Context,
    live: &InForce,
    id: &RequestId,
    observed: &Observed,
    record: Option<&Record>,
    recipients: &[Address],
    memory: &mut Memory,
) -> Planned {
    let facts = Facts {
        cluster: &context.cluster,
        id,
        observed,
        record,
        recipients,
        told: &memory.told,
        retry_refused_before: live.since,
        refusal_pauses: refusal_pauses(&context.limits),
        now: clock::now(),
    };
    let now = Instant::now();
    let at = |at: jiff::Timestamp| now + until(at);
    let mut work = match plan(facts) {
        Plan::Work(work) => work,
        Plan::Nothing { why, retry_at } => {
            memory.tries.clear();
            return Planned {
                plan: Plan::Nothing { why, retry_at },
                deferred: retry_at.is_some(),
                retry_at: retry_at.map(at),
            };
        }
    };
    let tries = &mut memory.tries;
    tries.retain(|recipient, _| work.aim.steps.iter().any(|step| step.recipient() == recipient));
    let mut retry_at = work.retry_at.map(at);
    let wanted = work.aim.shown;
    let mut deferred = false;
    work.aim.steps.retain(|step| {
        let due = tries.get(step.recipient()).map_or(now, |one| one.due(wanted, now));
        if due > now {
            deferred = true;
            retry_at = retry_at.into_iter().chain([due]).min();
        }
        due <= now
    });
    let plan = if work.aim.steps.is_empty() {
        let (why, retry_at) = (Why::UpToDate, work.retry_at);
        Plan::Nothing { why, retry_at }
    } else {
        Plan::Work(work)
    };
    Planned {
        plan,
        deferred,
        retry_at,
    }
}

/// Returns the pauses before refused deliveries are retried.
pub(super) fn refusal_pauses(limits: &Limits) -> RefusalPauses {
    RefusalPauses {
        first: limits.refused_first_pause,
        longest: limits.refused_longest_pause,
    }
}

/// Reads the record if we do not know it. A request that nobody has reviewed yet is taken as new: the claim finds out.
async fn gather(context: &Context, id: &RequestId, observed: &Observed, memory: &mut Memory) -> Result<(), Error> {
    let looks_new = match observed {
        Observed::Request(request) => request.stage == Stage::Pending && request.reviews.is_empty(),
        Observed::Gone(_) => false,
    };
    if !memory.stored.is_in_doubt() {
        return Ok(());
    }
    if looks_new && !memory.looked {
        memory.stored = Stored::Absent;
    } else {
        memory.read(context.client.plugin_data(id).await?);
    }
    memory.looked = true;
    Ok(())
}

/// Returns whom a pending request goes to: whom the rules named when it was claimed, or whom they and the table name now.
async fn recipients(
    context: &Context,
    live: &InForce,
    observed: &Observed,
    memory: &Memory,
    decided: &mut Option<Route>,
) -> Result<Recipients, Error> {
    let recipients = match (known_recipients(live, observed, memory.record()), observed) {
        (Some(recipients), _) => recipients,
        (None, Observed::Gone(_)) => Recipients::default(),
        (None, Observed::Request(request)) => {
            let route = match decided.take() {
                Some(route) => route,
                None => Box::pin(route(context, request, memory.failures)).await?,
            };
            decided.insert(route).recipients.clone()
        }
    };
    if let Observed::Request(request) = observed
        && memory.failures == 0
    {
        for reviewer in &recipients.unreachable {
            debug!(request.id = %request.id, reviewer, "Has no mail address and is not told");
        }
    }
    Ok(recipients)
}

/// Returns the recipients of a request, unless the rules have to be asked.
pub(super) fn known_recipients(live: &InForce, observed: &Observed, record: Option<&Record>) -> Option<Recipients> {
    let Observed::Request(request) = observed else {
        return Some(Recipients::default());
    };
    if request.stage != Stage::Pending {
        return Some(Recipients::default());
    }
    match record.and_then(|record| record.named.as_deref())? {
        [] => Some(live.routing.recipients(request)),
        named => Some(Recipients::of(named.iter().map(String::as_str))),
    }
}

/// Returns why an address is a recipient of a request, for the log: mail addresses are shortened there, so that an operator
/// needs to know where to look.
pub(super) fn source(live: &InForce, observed: &Observed, record: &Record, recipient: &str) -> Option<String> {
    let (Observed::Request(request) | Observed::Gone(Some(request))) = observed else {
        return None;
    };
    let named = record.named.iter().flatten().any(|named| named == recipient);
    let in_table = || live.routing.place(request, &Address::parse(recipient).ok()?);
    let suggested = || request.suggested_reviewers.iter().any(|reviewer| reviewer == recipient);
    if named {
        Some("access_monitoring_rule".to_owned())
    } else {
        in_table().or_else(|| suggested().then(|| "suggested_reviewers".to_owned()))
    }
}

/// Logs why there is nothing to do: what an operator should know is a warning, once.
pub(super) fn nothing(id: &RequestId, why: Why, memory: &mut Memory) {
    let news = memory.is_news(why);
    match why {
        Why::UnknownState if news => warn!(request.id = %id, "Unknown request state; its cards are left alone"),
        Why::NoRecipients if news => warn!(request.id = %id, "No recipients to notify"),
        _ => debug!(request.id = %id, ?why, "Nothing to do"),
    }
}

fn not_now(context: &Context, id: &RequestId, memory: &mut Memory, error: &Error) -> Outcome {
    let hint = error.hint();
    context.troubles.teleport_failed(error);
    if memory.failures == 0 && context.troubles.teleport_example(error) {
        warn!(request.id = %id, %error, hint, "Request has to wait");
    } else {
        debug!(request.id = %id, %error, hint, "Request has to wait");
    }
    // Whether the failed call did something is unknown.
    memory.stored.doubt();
    memory.failures = memory.failures.saturating_add(1);
    Outcome::Again(memory.again.pause())
}
