//! Plans one request from the settings, the state of its lane and the time.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use crate::clock;
use crate::config::Limits;
use crate::daemon::context::Context;
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle;
use crate::domain::lifecycle::{Audiences, Facts, Observed, Plan, Recipient, Record, RefusalPauses, Target, Why, plan};
use crate::domain::recipients::{Reason, Recipients};
use crate::domain::request::RequestId;

/// A plan without the deliveries that are not due.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// Whether deliveries were omitted.
    pub(super) deferred: bool,
    /// When the first of them is due.
    pub(super) retry_at: Option<Instant>,
}

/// Makes a plan, and omits the deliveries that are not due.
pub(super) fn planned(
    context: &Context,
    live: &InForce,
    id: &RequestId,
    observed: &Observed,
    record: Option<&Record>,
    targets: &[Target],
    memory: &mut LaneState,
) -> Planned {
    let facts = Facts {
        id,
        observed,
        record,
        targets,
        aliases: &memory.aliases,
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
    tries.retain(|recipient, _| work.aim.steps.iter().any(|step| step.is_for(recipient)));
    let mut retry_at = work.retry_at.map(at);
    let wanted = work.aim.shown;
    let mut deferred = false;
    work.aim.steps.retain(|step| {
        let due = tries.get(&step.recipient()).map_or(now, |one| one.due(wanted, now));
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

/// Returns the audiences of a request, as far as the lane knows them.
pub(super) fn audiences<'a>(live: &InForce, reviewers: &'a Recipients, memory: &'a LaneState) -> Audiences<'a> {
    Audiences {
        reviewers: &reviewers.addresses,
        escalation: memory
            .escalation
            .as_ref()
            .map(|known| &*known.addresses)
            .unwrap_or_default(),
        requester: memory.requester.address(),
        notifies_requester: live.notify.requester,
        notifies_delegates: live.notify.out_of_office,
    }
}

/// Returns the recipients of a request, groups as such, unless the rules must be evaluated.
pub(super) fn known_recipients(
    live: &InForce,
    observed: &Observed,
    record: Option<&Record>,
    memory: &LaneState,
) -> Option<Recipients> {
    lifecycle::known_recipients(live.tables(&memory.suggested, &memory.groups), observed, record)
}

/// Returns why a recipient is notified, as far as the record and the current configuration contain it.
pub(super) fn reason(
    live: &InForce,
    observed: &Observed,
    record: &Record,
    memory: &LaneState,
    recipient: &Recipient,
) -> Option<Reason> {
    lifecycle::reason(
        live.tables(&memory.suggested, &memory.groups),
        observed.request()?,
        (&record.routed_by, Some(record)),
        recipient,
    )
}

/// Logs why there is nothing to do, once as a warning if an operator should know.
pub(super) fn nothing(id: &RequestId, why: Why, memory: &mut LaneState) {
    let news = memory.is_news(why);
    match why {
        Why::UnknownState if news => {
            warn!(request.id = %id, "Access Request is in an unknown state; its cards stay unchanged");
        }
        // Its members are not known yet.
        Why::NoRecipients if memory.lacks_group => debug!(request.id = %id, "No recipients are known yet"),
        Why::NoRecipients if news => warn!(request.id = %id, "No recipients to notify"),
        _ => debug!(request.id = %id, ?why, "No delivery is due"),
    }
}

/// Returns the time until a moment.
pub(super) fn until(at: jiff::Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock::now())).unwrap_or_default()
}
