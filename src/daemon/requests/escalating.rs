//! Who else is notified of a request that is still pending.

use std::sync::atomic::Ordering;

use tracing::{debug, warn};

use crate::daemon::context::Context;
use crate::daemon::reviewed::Reviewed;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::{Audience, Observed, Posted, Record};
use crate::domain::recipients::Address;
use crate::domain::request::AccessRequest;
use crate::msteams::{Meaning, Priority, Urgency};

/// Maximum number of recipients whose managers are looked up.
const MOST_MANAGED: usize = 50;

/// The further recipients of a request.
#[derive(Debug, Default)]
pub(super) struct Escalated {
    pub(super) addresses: Vec<Address>,
    /// Microsoft did not answer a look-up; a retry may help.
    pub(super) is_partial: bool,
}

/// Returns the further recipients of a request that is due for escalation.
pub(super) async fn escalated(
    context: &Context,
    live: &InForce,
    observed: &Observed,
    record: Option<&Record>,
) -> Escalated {
    let (Some(settings), Some(record), Observed::Request(request)) = (&live.escalation, record, observed) else {
        return Escalated::default();
    };
    let is_due = |announced| context.agenda.waited(&request.id, announced) >= settings.after;
    if !request.stage.is_open() || !record.announced_at(request).is_some_and(is_due) {
        return Escalated::default();
    }
    let mut escalated = Escalated {
        addresses: settings.routing.of_roles(request),
        is_partial: false,
    };
    if settings.manager {
        add_managers(context, live, request, record, &mut escalated).await;
    }
    escalated
}

/// Adds the managers of the recipients who have not reviewed: one level, so not those of recipients of the escalation.
async fn add_managers(
    context: &Context,
    live: &InForce,
    request: &AccessRequest,
    record: &Record,
    escalated: &mut Escalated,
) {
    let priority = Priority::new(Urgency::Announcement, request.id.as_str());
    let reviewed = Reviewed::find(context, live, request).await;
    let reviewers = record
        .cards
        .iter()
        .filter(|card| card.recipient.audience == Audience::Reviewers);
    let people = reviewers.filter_map(Posted::target).map(|target| target.address);
    for person in people.filter(|address| address.channel().is_none()).take(MOST_MANAGED) {
        if reviewed.contains(context, &person, &priority).await {
            continue;
        }
        match context.teams.manager(&person, &priority).await {
            Ok(manager) => {
                let is_new = |manager: &Address| !escalated.addresses.contains(manager);
                escalated.addresses.extend(manager.filter(is_new));
                context.managers_warned.store(false, Ordering::Relaxed);
            }
            Err(error) if error.meaning() == Meaning::Denied => {
                let hint = error.hint();
                if !context.managers_warned.swap(true, Ordering::Relaxed) {
                    warn!(request.id = %request.id, %error, hint, "Could not read managers; they are not notified");
                }
                return;
            }
            Err(error) => {
                debug!(request.id = %request.id, %error, "Could not read the manager of a recipient");
                escalated.is_partial = true;
            }
        }
    }
}
