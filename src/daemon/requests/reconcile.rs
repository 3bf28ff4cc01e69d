//! The five steps for one request: gather, decide, claim, deliver, settle.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use tracing::warn;

use crate::daemon::context::Context;
use crate::daemon::requests::claiming::{Claimed, claim, holds_since, others_turn};
use crate::daemon::requests::deliver::deliver;
use crate::daemon::requests::job::Job;
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::requests::news::News;
use crate::daemon::requests::planning::{Planned, known_recipients, nothing, planned, targets};
use crate::daemon::requests::routing::route;
use crate::daemon::requests::turns::Turn;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::{Lease, Observed, Plan, RecordState, Run, Step};
use crate::domain::recipients::Recipients;
use crate::domain::request::RequestId;
use crate::domain::rules::Route;
use crate::teleport::{Error, PluginDataKey};

/// How often a request is looked at again in one run because somebody else wrote first. Beyond that the two of us are
/// racing, and a pause helps more.
const LOST_CLAIMS: usize = 4;

/// How a run ended.
#[derive(Debug)]
pub(super) enum RunEnd {
    /// Everything is as it should be, as far as it can be.
    Settled,
    /// Look again after this pause.
    RetryAfter(Duration),
    /// The request changed, or the daemon stops.
    Interrupted,
}

/// Brings the cards of one request up to date with what was observed, and with what is heard meanwhile.
pub(super) async fn reconcile(
    context: &Context,
    id: &RequestId,
    observed: &mut Observed,
    memory: &mut LaneState,
    turn: &mut Turn,
    news: &mut News<'_>,
) -> RunEnd {
    let mut decided = None;
    for _ in 0..LOST_CLAIMS {
        if news.is_changed() {
            return RunEnd::Interrupted;
        }
        if let Err(error) = gather(context, id, observed, memory).await {
            return not_now(context, id, memory, &error);
        }
        let live = context.live.current();
        let found = tokio::select! {
            () = news.heard() => return RunEnd::Interrupted,
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
            &targets(recipients),
            memory,
        );
        let mut work = match plan {
            Plan::Nothing { why, .. } => {
                nothing(id, why, memory);
                return again_at(retry_at);
            }
            Plan::Work(work) => work,
        };
        if let Some(wait) = others_turn(context, memory) {
            debug!(request.id = %id, "Another replica is at it");
            memory.stored.doubt();
            return RunEnd::RetryAfter(wait);
        }
        let begun = Instant::now();
        // In boxes from here on, since most runs find nothing to do and need no room for it.
        let claimed = Box::pin(claim(context, id, observed, decided.as_ref(), memory)).await;
        if claimed.is_ok() {
            context.outages.teleport_works();
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
            memory.backoff.reset();
        }
        let known = match std::mem::take(&mut memory.stored) {
            RecordState::Known(known) if !work.aim.steps.is_empty() => known,
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
        let job = Job {
            context,
            id,
            live,
            retry_at,
        };
        let delivered = Box::pin(deliver(job, run, work, memory, observed, news, turn)).await;
        memory.stored = RecordState::Known(Box::new(delivered.known));
        if delivered.interrupted {
            return RunEnd::Interrupted;
        }
        return again_at(delivered.retry_at);
    }
    debug!(request.id = %id, "Somebody else keeps writing first");
    RunEnd::RetryAfter(memory.backoff.pause())
}

/// Nothing was claimed: the request is gone, or its record cannot be stored.
fn unclaimed(id: &RequestId, memory: &mut LaneState, full: bool) -> RunEnd {
    if !full {
        debug!(request.id = %id, "The request is gone");
        return RunEnd::Settled;
    }
    let hint = "another plugin may have filled the plugin data of this request";
    if memory.failures == 0 {
        warn!(request.id = %id, hint, "Plugin data of the access request are full, it cannot be announced");
    }
    memory.failures = memory.failures.saturating_add(1);
    RunEnd::RetryAfter(memory.backoff.pause())
}

fn again_at(retry_at: Option<Instant>) -> RunEnd {
    match retry_at {
        Some(at) => RunEnd::RetryAfter(at.saturating_duration_since(Instant::now())),
        None => RunEnd::Settled,
    }
}

/// Reads the record if we do not know it. A request that nobody has reviewed yet is taken as new: the claim finds out.
async fn gather(context: &Context, id: &RequestId, observed: &Observed, memory: &mut LaneState) -> Result<(), Error> {
    let looks_new = match observed {
        Observed::Request(request) => request.stage.is_open() && request.reviews.is_empty(),
        Observed::Gone(_) => false,
    };
    if !memory.stored.is_in_doubt() {
        return Ok(());
    }
    if looks_new && !memory.looked {
        memory.stored = RecordState::Absent;
    } else {
        memory.read(context.client.plugin_data(&PluginDataKey::request(id)).await?);
    }
    memory.looked = true;
    Ok(())
}

/// Returns whom a pending request goes to: whom the rules named when it was claimed, or whom they and the table name now.
async fn recipients(
    context: &Context,
    live: &InForce,
    observed: &Observed,
    memory: &LaneState,
    decided: &mut Option<Route>,
) -> Result<Recipients, Error> {
    let recipients = match (known_recipients(live, observed, memory.record()), observed) {
        (Some(recipients), _) => recipients,
        (None, Observed::Gone(_)) => Recipients::default(),
        (None, Observed::Request(request)) => {
            let route = match decided.take() {
                Some(route) => route,
                None => Box::pin(route(context, &live.routing, request, memory.failures)).await?,
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

fn not_now(context: &Context, id: &RequestId, memory: &mut LaneState, error: &Error) -> RunEnd {
    let hint = error.hint();
    context.outages.teleport_failed(error);
    if memory.failures == 0 && context.outages.teleport_example(error) {
        warn!(request.id = %id, %error, hint, "Request has to wait");
    } else {
        debug!(request.id = %id, %error, hint, "Request has to wait");
    }
    // Whether the failed call did something is unknown.
    memory.stored.doubt();
    memory.failures = memory.failures.saturating_add(1);
    RunEnd::RetryAfter(memory.backoff.pause())
}
