//! Who else is notified of a request that is still pending.

use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::exempt::Exempt;
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::upkeep::InForce;
use crate::domain::lifecycle::{Audience, Observed, Posted, Record};
use crate::domain::recipients::{Address, GroupMembers};
use crate::domain::reminders::is_escalated;
use crate::domain::request::AccessRequest;
use crate::msteams::{Meaning, Priority, Retry, Urgency};

/// Maximum number of recipients whose managers are looked up.
const MOST_MANAGED: usize = 50;

/// The number of managers that are looked up at the same time.
const CONCURRENCY: usize = 8;

/// The further recipients of an escalated request. They do not change while the settings stay the same, because later reviews
/// withdraw no card.
#[derive(Debug)]
pub(super) struct Escalation {
    pub(super) addresses: Box<[Address]>,
    /// The members of the groups that the table of escalations names.
    pub(super) groups: GroupMembers,
    /// When the settings that name them were read.
    settings: Timestamp,
    /// A look-up failed, and a retry may help.
    pub(super) is_partial: bool,
}

/// Returns the request and its record if further recipients are due that the lane does not know.
pub(super) fn is_due<'a>(
    context: &Context,
    live: &InForce,
    observed: &'a Observed,
    memory: &'a LaneState,
) -> Option<(&'a AccessRequest, &'a Record)> {
    let (Some(settings), Some(record), Observed::Request(request)) = (&live.escalation, memory.record(), observed)
    else {
        return None;
    };
    let escalation = memory.escalation.as_deref();
    let is_known = escalation.is_some_and(|known| known.settings == live.since && !known.is_partial);
    let is_late = |announced| {
        let waited = context.agenda.waited(&request.id, announced);
        is_escalated(request, settings.after, waited, clock::now())
    };
    let is_due = record.announced_at(request).is_some_and(is_late);
    (is_due && !is_known).then_some((request, record))
}

/// Finds the further recipients of a request that is due for escalation, within a limited time.
pub(super) async fn find(context: &Context, live: &InForce, request: &AccessRequest, record: &Record) -> Escalation {
    let settings = live.escalation.as_ref();
    let named = settings.map(|settings| settings.routing.of_roles(request));
    let named = named.unwrap_or_default();
    let mut groups = GroupMembers::default();
    let wanted = GroupMembers::groups_in(&named);
    let patience = context.limits.look_up_patience;
    let has_all = context.groups.find(&wanted, patience, &mut groups).await;
    let mut escalation = Escalation {
        addresses: groups.expand(named).into(),
        groups,
        settings: live.since,
        is_partial: !has_all,
    };
    if settings.is_some_and(|settings| settings.manager) {
        let managers = managers(context, live, request, record);
        // Cards of the request wait for the answers. Those that came are remembered, so a retry is faster.
        match timeout(patience, managers).await {
            Ok((managers, is_partial)) => {
                let mut addresses = escalation.addresses.into_vec();
                for manager in managers {
                    if !addresses.contains(&manager) {
                        addresses.push(manager);
                    }
                }
                escalation.addresses = addresses.into();
                escalation.is_partial |= is_partial;
            }
            Err(_) => escalation.is_partial = true,
        }
    }
    escalation
}

/// Returns the managers of the recipients who have not reviewed, and whether a retry may find more: one level, so not those of
/// recipients of the escalation, and not those of delegates.
async fn managers(context: &Context, live: &InForce, request: &AccessRequest, record: &Record) -> (Vec<Address>, bool) {
    let priority = &Priority::new(Urgency::Announcement, request.id.as_str());
    let exempt = &Exempt::find_known(context, live, request).await;
    let reviewers = record
        .cards
        .iter()
        .filter(|card| card.recipient.audience == Audience::Reviewers && record.delegate(&card.recipient).is_none());
    let people = reviewers.filter_map(Posted::target).map(|target| target.address);
    let people = people.filter(Address::is_person).take(MOST_MANAGED);
    let people: Vec<Address> = people.collect();
    let look_ups = stream::iter(people).map(|person| async move {
        if exempt.contains(context, &person, priority).await {
            return Ok(None);
        }
        match context.teams.manager(&person, priority).await {
            Ok(Some(manager)) if exempt.contains(context, &manager, priority).await => Ok(None),
            found => found,
        }
    });
    let (mut managers, mut is_partial) = (Vec::new(), false);
    let mut look_ups = std::pin::pin!(look_ups.buffered(CONCURRENCY));
    while let Some(found) = look_ups.next().await {
        match found {
            Ok(manager) => managers.extend(manager),
            Err(error) if error.meaning() == Meaning::Denied => {
                let hint = error.hint();
                if !context.managers_warned.swap(true, Ordering::Relaxed) {
                    warn!(request.id = %request.id, %error, hint, "Could not read managers; they are not notified");
                }
                return (managers, false);
            }
            Err(error) => {
                debug!(request.id = %request.id, %error, "Could not read the manager of a recipient");
                is_partial |= error.retry() != Retry::Never;
            }
        }
    }
    if !is_partial {
        context.managers_warned.store(false, Ordering::Relaxed);
    }
    (managers, is_partial)
}
