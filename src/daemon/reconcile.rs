//! The five steps for one request: gather, decide, claim, deliver, settle.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::info;
use tracing::warn;

use crate::clock;
use crate::daemon::claiming::{Claimed, Lease, claim, others_turn};
use crate::daemon::context::Context;
use crate::daemon::deliver::{Delivered, Job, deliver};
use crate::daemon::memory::Memory;
use crate::daemon::routing::route;
use crate::daemon::settling::Ledger;
use crate::daemon::turns::Turn;
use crate::domain::lifecycle::{Account, Facts, Observed, Plan, Stored, Why, Work, plan};
use crate::domain::recipients::Recipients;
use crate::domain::request::{RequestId, Stage};
use crate::domain::rules::Route;
use crate::telemetry::Delivery;
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

/// Brings the cards of one request up to date with what was observed.
pub(super) async fn reconcile(
    context: &Context,
    id: &RequestId,
    observed: &Observed,
    memory: &mut Memory,
    mut turn: Turn,
    stop: &CancellationToken,
) -> Outcome {
    let mut decided = None;
    for _ in 0..LOST_CLAIMS {
        if stop.is_cancelled() {
            return Outcome::Interrupted;
        }
        if let Err(error) = gather(context, id, observed, memory).await {
            return not_now(context, id, memory, &error);
        }
        let (rules, live) = (context.rules.current(), context.live.current());
        let found = tokio::select! {
            () = stop.cancelled() => return Outcome::Interrupted,
            found = recipients(context, observed, memory, &mut decided) => found,
        };
        let recipients = match found {
            Ok(recipients) => recipients,
            Err(error) => return not_now(context, id, memory, &error),
        };
        let now = clock::now();
        let facts = Facts {
            cluster: &context.cluster,
            id,
            observed,
            record: memory.record(),
            recipients: &recipients.addresses,
            told: &memory.told,
            retry_refused_before: context.retry_refused_before(now),
            now,
        };
        let work = match plan(facts) {
            Plan::Nothing(Why::NoRecipients) => {
                context.leave_untold();
                // A rule or a table that came in between does not know of this request.
                let same = Arc::ptr_eq(&rules, &context.rules.current());
                if !(same && Arc::ptr_eq(&live, &context.live.current())) {
                    return Outcome::Again(Duration::ZERO);
                }
                warn!(request.id = %id, "No recipients to notify");
                return Outcome::Settled;
            }
            Plan::Nothing(why) => return nothing(id, why),
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
            Ok(Claimed::Gone) if matches!(observed, Observed::Gone(_)) => true,
            Ok(Claimed::Gone) => {
                debug!(request.id = %id, "The request is gone");
                return Outcome::Settled;
            }
            Err(error) => return not_now(context, id, memory, &error),
        };
        let lease = Lease::new(begun, context.limits.claim_term);
        let job = Job {
            context,
            id,
            work: &work,
            lease: &lease,
            stop,
            waiting: memory.waiting,
            quiet: memory.failures > 0,
        };
        return Box::pin(carry_out(job, memory, &mut turn, forgotten)).await;
    }
    debug!(request.id = %id, "Somebody else keeps writing first");
    Outcome::Again(memory.again.pause())
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
    observed: &Observed,
    memory: &Memory,
    decided: &mut Option<Route>,
) -> Result<Recipients, Error> {
    let Observed::Request(request) = observed else {
        return Ok(Recipients::default());
    };
    if request.stage != Stage::Pending {
        return Ok(Recipients::default());
    }
    let recipients = match memory.record().and_then(|record| record.named.as_deref()) {
        Some([]) => context.live.current().routing.recipients(request),
        Some(named) => Recipients::of(named.iter().map(String::as_str)),
        None => {
            let route = match decided.take() {
                Some(route) => route,
                None => Box::pin(route(context, request, memory.failures)).await?,
            };
            decided.insert(route).recipients.clone()
        }
    };
    if memory.failures == 0 {
        for reviewer in &recipients.unreachable {
            debug!(request.id = %request.id, reviewer, "Has no mail address and is not told");
        }
    }
    Ok(recipients)
}

fn nothing(id: &RequestId, why: Why) -> Outcome {
    match why {
        Why::UnknownState => warn!(request.id = %id, "Unknown request state; its cards are left alone"),
        Why::UpToDate | Why::NeverAnnounced | Why::NoRecipients | Why::Behind => {
            debug!(request.id = %id, ?why, "Nothing to do");
        }
    }
    Outcome::Settled
}

fn not_now(context: &Context, id: &RequestId, memory: &mut Memory, error: &Error) -> Outcome {
    let hint = error.hint();
    context.troubles.teleport_failed(error);
    if memory.failures == 0 && context.troubles.teleport_example() {
        warn!(request.id = %id, %error, hint, "Request has to wait");
    } else {
        debug!(request.id = %id, %error, hint, "Request has to wait");
    }
    // Whether the failed call did something is unknown.
    memory.stored.doubt();
    memory.failures = memory.failures.saturating_add(1);
    Outcome::Again(memory.again.pause())
}

async fn carry_out(job: Job<'_>, memory: &mut Memory, turn: &mut Turn, forgotten: bool) -> Outcome {
    let Stored::Known(known) = std::mem::take(&mut memory.stored) else {
        return Outcome::Again(memory.again.pause());
    };
    let Job {
        context,
        id,
        work,
        lease,
        ..
    } = job;
    let account = Account::new(work.shown, &work.resolve_reason, *known);
    let mut ledger = Ledger::new(context, id, lease, account, forgotten);
    let delivered = deliver(job, &mut ledger, turn).await;
    let contested = ledger.is_contested();
    memory.stored = ledger.into_stored();
    memory.told.extend(delivered.told.iter().cloned());
    tell(id, work, &delivered);
    for (outcome, count) in [
        (Delivery::Posted, delivered.posted),
        (Delivery::Updated, delivered.updated),
        (Delivery::Refused, delivered.refused),
        (Delivery::Failed, delivered.again),
    ] {
        context.metrics.delivered(outcome, count);
    }
    if delivered.again > 0 {
        memory.failures = memory.failures.saturating_add(1);
        let pause = memory.again.pause();
        return Outcome::Again(delivered.pause.map_or(pause, |asked| asked.max(pause)));
    }
    memory.failures = 0;
    memory.again.reset();
    if delivered.interrupted || contested {
        return Outcome::Interrupted;
    }
    Outcome::Settled
}

/// One line for what changed in what people see.
fn tell(id: &RequestId, work: &Work, delivered: &Delivered) {
    let Delivered {
        posted,
        updated,
        refused,
        again,
        ..
    } = delivered;
    let stage = work.shown.stage;
    if *posted > 0 {
        info!(request.id = %id, posted, updated, refused, waiting = again, "Access request {id} announced");
    } else if *updated > 0 {
        let reviews = work.shown.reviews;
        info!(
            request.id = %id, request.stage = %stage, reviews, updated, refused, waiting = again,
            "Cards of access request {id} show {stage}"
        );
    }
}
