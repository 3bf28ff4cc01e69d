//! The five steps of one run: gather, plan, claim, deliver, settle.

use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::time::Instant;
use tracing::debug;
use tracing::warn;

use crate::clock::{self, readable};
use crate::daemon::context::Context;
use crate::daemon::requests::claiming::{Claimed, PLUGIN_DATA_FULL, claim, holds_since, others_turn};
use crate::daemon::requests::delegating::{self, Sought};
use crate::daemon::requests::deliver::deliver;
use crate::daemon::requests::escalating;
use crate::daemon::requests::job::{Job, Known};
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::requests::news::News;
use crate::daemon::requests::people::requester;
use crate::daemon::requests::planning::{Planned, audiences, known_recipients, nothing, planned};
use crate::daemon::requests::requester::{self, Requester};
use crate::daemon::requests::routing::route;
use crate::daemon::requests::run_end::{CardsEnd, RunEnd};
use crate::daemon::requests::turns::Turn;
use crate::daemon::upkeep::InForce;
use crate::domain::card::Content;
use crate::domain::lifecycle::{Lease, Observed, Plan, RecordState, RoutedBy, Run, Step, targets};
use crate::domain::recipients::{GroupMembers, Recipients};
use crate::domain::request::RequestId;
use crate::domain::rules::Route;
use crate::teleport::{Error, PluginDataKey};

/// Attempts to claim a request in one run when other writers come first. After that a pause resolves the race faster.
const LOST_CLAIMS: usize = 4;

/// Brings the cards of one request up to date with the newest observation, including those that arrive meanwhile. Delegates of
/// recipients who are out of office are sought when no card is due any more.
pub(super) async fn reconcile(
    context: &Context,
    id: &RequestId,
    observed: &mut Observed,
    memory: &mut LaneState,
    turn: &mut Turn,
    news: &mut News<'_>,
) -> RunEnd {
    loop {
        let end = reconcile_cards(context, id, observed, memory, turn, news).await;
        if matches!(end, CardsEnd::Ended(RunEnd::Interrupted)) {
            return RunEnd::Interrupted;
        }
        match Box::pin(delegating::look_up(context, observed, memory, turn, news)).await {
            // Each recipient is sought for once, so this ends.
            Sought::Found => {}
            Sought::Nothing => {
                return match end {
                    CardsEnd::Ended(end) => end,
                    CardsEnd::Done(retry_at) => again_at(context, memory, retry_at),
                };
            }
            Sought::Interrupted => return RunEnd::Interrupted,
            Sought::Failed => return again_at(context, memory, end.retry_at()),
        }
    }
}

/// Brings the cards up to date for the recipients that are known.
async fn reconcile_cards(
    context: &Context,
    id: &RequestId,
    observed: &mut Observed,
    memory: &mut LaneState,
    turn: &mut Turn,
    news: &mut News<'_>,
) -> CardsEnd {
    let mut decided = None;
    for _ in 0..LOST_CLAIMS {
        if news.is_changed() {
            return RunEnd::Interrupted.into();
        }
        if let Err(error) = gather(context, id, observed, memory).await {
            return deferred_run(context, id, memory, &error).into();
        }
        let live = context.live.current();
        if let Some(left) = held_for(&live, observed, memory, news) {
            return RunEnd::RetryAfter(left).into();
        }
        memory.refresh_suggested();
        let found = tokio::select! {
            () = news.heard() => return RunEnd::Interrupted.into(),
            found = find_recipients(context, &live, observed, memory, &mut decided) => found,
        };
        let recipients = match found {
            Ok(recipients) => recipients,
            Err(error) => return deferred_run(context, id, memory, &error).into(),
        };
        let record = memory.record().cloned();
        let targets = targets(audiences(&live, &recipients, memory), observed, record.as_ref());
        let Planned {
            plan,
            deferred,
            retry_at,
        } = planned(context, &live, id, observed, record.as_ref(), &targets, memory);
        let mut work = match plan {
            Plan::Nothing { why, .. } => {
                nothing(id, why, memory);
                return CardsEnd::Done(retry_at);
            }
            Plan::Work(work) => work,
        };
        if let Some(wait) = others_turn(context, memory) {
            debug!(request.id = %id, "Access Request is claimed by another replica");
            memory.stored.doubt();
            return RunEnd::RetryAfter(wait).into();
        }
        let begun = Instant::now();
        let posts = work.aim.steps.iter().any(|step| !step.is_update());
        // Boxed from here on, because most runs end before this point. The look-ups take no longer than the claim, as a rule.
        let wanted = requester::to_find(&live, observed, memory);
        let (claimed, known_names, found) = Box::pin(async {
            tokio::join!(
                claim(context, id, observed, decided.as_ref(), memory),
                find_names(context, &live, &work.content, posts),
                OptionFuture::from(wanted.map(|request| requester::find(context, &live, request)))
            )
        })
        .await;
        if claimed.is_ok() {
            context.outages.teleport_works();
        }
        let forgotten = match claimed {
            Ok(Claimed::Ours) => false,
            Ok(Claimed::Lost) => continue,
            // The record cannot be written any more, but cards can still be updated.
            Ok(Claimed::Gone | Claimed::Full) => {
                work.aim.steps.retain(|step| matches!(step, Step::Update(_)));
                true
            }
            Err(error) => return deferred_run(context, id, memory, &error).into(),
        };
        if matches!(claimed, Ok(Claimed::Ours)) {
            memory.failures = 0;
            memory.backoff.reset();
        }
        if let Some(found) = found {
            memory.requester = found;
        }
        let known = match std::mem::take(&mut memory.stored) {
            RecordState::Known(known) if !work.aim.steps.is_empty() => known,
            stored => {
                memory.stored = stored;
                return unclaimed(id, memory, matches!(claimed, Ok(Claimed::Full))).into();
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
            known: known_names,
        };
        let delivered = Box::pin(deliver(job, run, work, memory, observed, news, turn)).await;
        memory.stored = RecordState::Known(Box::new(delivered.known));
        if delivered.interrupted {
            return RunEnd::Interrupted.into();
        }
        return CardsEnd::Done(delivered.retry_at);
    }
    debug!(request.id = %id, attempts = LOST_CLAIMS, "Lost the claim to other writers, retrying");
    RunEnd::RetryAfter(memory.backoff.pause()).into()
}

/// Returns whether a request needs another run for people that the last run did not look up: the time or the settings have
/// changed while it delivered cards.
pub(super) fn is_outdated(context: &Context, observed: &Observed, memory: &LaneState) -> bool {
    let live = context.live.current();
    let seeks_requester = || {
        let is_new = memory.requester == Requester::Unknown && memory.record().is_some();
        is_new && requester::to_find(&live, observed, memory).is_some()
    };
    escalating::is_due(context, &live, observed, memory).is_some() || seeks_requester()
}

/// Returns how long the announcement of a request is still held.
fn held_for(live: &InForce, observed: &Observed, memory: &mut LaneState, news: &News<'_>) -> Option<Duration> {
    let is_announced = memory.record().is_some();
    if let Observed::Request(request) = observed
        && let Some(grace) = live.notify.grace
        && request.stage.is_open()
        && !is_announced
    {
        let left = memory.held_for(request, grace);
        if !left.is_zero() {
            debug!(request.id = %request.id, held_for = readable(left), "Announcement is held");
            news.hold();
            return Some(left);
        }
    }
    None
}

/// Returns the recipients of a pending request, and finds the people besides them who are notified. The requester of a new
/// request is found beside the claim.
///
/// # Errors
/// Teleport did not answer; a retry may help.
async fn find_recipients(
    context: &Context,
    live: &InForce,
    observed: &Observed,
    memory: &mut LaneState,
    decided: &mut Option<Route>,
) -> Result<Recipients, Error> {
    let recipients = recipients(context, live, observed, memory, decided).await?;
    if live.escalation.is_none() {
        memory.escalation = None;
    }
    if let Some(escalation) = memory.escalation.as_mut().filter(|_| !is_pending(observed)) {
        // A request that is no longer pending needs no managers.
        escalation.is_partial = false;
    }
    if !live.notify.out_of_office || !is_pending(observed) {
        memory.delegation = None;
    }
    if let Some(delegation) = &memory.delegation {
        memory.stored.add_delegates(&delegation.found);
    }
    if let Some((request, record)) = escalating::is_due(context, live, observed, memory) {
        let found = Box::pin(escalating::find(context, live, request, record)).await;
        memory.groups.extend(&found.groups);
        memory.escalation = Some(Box::new(found));
    }
    if memory.record().is_some()
        && let Some(request) = requester::to_find(live, observed, memory)
    {
        memory.requester = Box::pin(requester::find(context, live, request)).await;
    }
    Ok(recipients)
}

/// Returns whether a request can still be reviewed.
fn is_pending(observed: &Observed) -> bool {
    matches!(observed, Observed::Request(request) if request.stage.is_open() && !request.is_over(clock::now()))
}

/// Looks up the names that the cards show and, before cards are posted, who the requester is.
async fn find_names(context: &Context, live: &InForce, cards: &Content, posts: bool) -> Known {
    let Content::Request(drawn) = cards else {
        return Known::default();
    };
    let patience = context.limits.look_up_patience;
    let names = context.names.of(drawn, &context.cluster.name, patience);
    let person = async {
        let wanted = posts.then(|| requester(context, live, drawn, patience));
        OptionFuture::from(wanted).await.unwrap_or_default()
    };
    let (names, requester) = tokio::join!(names, person);
    Known { names, requester }
}

/// Ends a run without a claim: the request is gone, or its record cannot be stored.
fn unclaimed(id: &RequestId, memory: &mut LaneState, full: bool) -> RunEnd {
    if !full {
        debug!(request.id = %id, "Access Request is gone");
        return RunEnd::Settled;
    }
    let hint = PLUGIN_DATA_FULL;
    if memory.failures == 0 {
        warn!(request.id = %id, hint, "Plugin data of the Access Request is full; it cannot be announced");
    }
    memory.failures = memory.failures.saturating_add(1);
    RunEnd::RetryAfter(memory.backoff.pause())
}

/// Ends a run; a look-up that failed is retried, too.
fn again_at(context: &Context, memory: &mut LaneState, retry_at: Option<Instant>) -> RunEnd {
    let look_up_in = memory.look_up_again_in(&context.limits);
    let look_up_at = look_up_in.map(|pause| Instant::now() + pause);
    match retry_at.into_iter().chain(look_up_at).min() {
        Some(at) => RunEnd::RetryAfter(at.saturating_duration_since(Instant::now())),
        None => RunEnd::Settled,
    }
}

/// Reads the record if it is not known. A request without reviews is assumed to have none; the claim detects the opposite.
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
        memory.read(&context.client.plugin_data(&PluginDataKey::request(id)).await?);
    }
    memory.looked = true;
    Ok(())
}

/// Returns the recipients of a pending request: those recorded with the claim, or those that the rules and the table name now.
async fn recipients(
    context: &Context,
    live: &InForce,
    observed: &Observed,
    memory: &mut LaneState,
    decided: &mut Option<Route>,
) -> Result<Recipients, Error> {
    if let Observed::Request(request) = observed
        && request.stage.is_open()
        && !matches!(
            memory.record().map(|record| &record.routed_by),
            Some(RoutedBy::Rules(_))
        )
    {
        let (lookups, failures) = (&context.lookups, memory.failures);
        let name = &live.review.user_id_trait;
        lookups
            .suggested(request, name, failures, &mut memory.suggested)
            .await?;
    }
    let known = known_recipients(live, observed, memory.record(), memory);
    let recipients = match (known, observed) {
        (Some(recipients), _) => recipients,
        (None, Observed::Gone(_)) => Recipients::default(),
        (None, Observed::Request(request)) => {
            let route = match decided.take() {
                Some(route) => route,
                None => {
                    Box::pin(route(
                        context,
                        &live.routing,
                        request,
                        &memory.suggested,
                        memory.failures,
                    ))
                    .await?
                }
            };
            decided.insert(route).recipients.clone()
        }
    };
    if let Observed::Request(request) = observed
        && memory.failures == 0
    {
        for reviewer in &recipients.unreachable {
            debug!(request.id = %request.id, reviewer, "Suggested reviewer is not a valid recipient and is not notified");
        }
    }
    let groups = GroupMembers::groups_in(&recipients.addresses);
    memory.lacks_group = !context
        .groups
        .find(&groups, context.limits.look_up_patience, &mut memory.groups)
        .await;
    Ok(memory.groups.expand_in(recipients))
}

fn deferred_run(context: &Context, id: &RequestId, memory: &mut LaneState, error: &Error) -> RunEnd {
    let hint = error.hint();
    context.outages.teleport_failed(error);
    warn_if!(
        memory.failures == 0 && context.outages.teleport_example(error),
        request.id = %id, %error, hint,
        "Access Request deferred"
    );
    // The failed call may have had an effect.
    memory.stored.doubt();
    memory.failures = memory.failures.saturating_add(1);
    RunEnd::RetryAfter(memory.backoff.pause())
}
