//! Reads what an explanation depends on from Teleport.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::report::Hinted;
use crate::clock;
use crate::config::Settings;
use crate::daemon::{Inquiry, inquire};
use crate::domain::explanation::{Explained, Moment, MomentFacts, RecipientFacts, explain, moments};
use crate::domain::lifecycle::{
    Audience, Audiences, Observed, Record, RefusalPauses, RoutedBy, Tables, known_recipients, targets,
};
use crate::domain::recipients::{Address, GroupMembers, Recipients, SuggestedReviewers};
use crate::domain::reminders::{Sent, is_escalated};
use crate::domain::request::{AccessRequest, RequestId};
use crate::teleport::{Client, PluginDataKey};

/// A request, its record, and what follows from them now.
pub(super) struct Situation {
    pub(super) id: RequestId,
    /// `None` if Teleport has no such request any more, or the role cannot see it.
    pub(super) request: Option<Arc<AccessRequest>>,
    pub(super) record: Option<Record>,
    /// `None` without a request.
    pub(super) inquiry: Option<Inquiry>,
    pub(super) recipients: Recipients,
    pub(super) explained: Explained,
    pub(super) moments: Vec<Moment>,
    pub(super) now: Timestamp,
}

impl Situation {
    /// Reads everything.
    ///
    /// # Errors
    /// Teleport did not answer or refused, or has neither the request nor a record of it.
    pub(super) async fn read(settings: &Settings, id: RequestId) -> anyhow::Result<Self> {
        let client = Client::new(&settings.teleport, &settings.limits).await?;
        client.ping().await?;
        let key = PluginDataKey::request(&id);
        let (request, map) = tokio::try_join!(client.request(&id), client.plugin_data(&key))?;
        let (request, record) = (request.map(Arc::new), Record::decode(&map));
        if request.is_none() && record.is_none() {
            return Err(unknown(&id));
        }
        let inquiry = match &request {
            Some(request) => Some(inquire(&client, settings, request).await?),
            None => None,
        };
        let sent = Sent::decode(&map);
        Ok(Self::of(settings, id, request, record, inquiry, &sent, clock::now()))
    }

    fn of(
        settings: &Settings,
        id: RequestId,
        request: Option<Arc<AccessRequest>>,
        record: Option<Record>,
        inquiry: Option<Inquiry>,
        sent: &Sent,
        now: Timestamp,
    ) -> Self {
        let observed = match &request {
            Some(request) => Observed::Request(Arc::clone(request)),
            None => Observed::Gone(None),
        };
        let nothing = SuggestedReviewers::default();
        let groups = GroupMembers::default();
        let tables = Tables {
            routing: &settings.routing,
            escalation: settings
                .escalation
                .as_ref()
                .map(|settings| (settings.after, &settings.routing)),
            suggested: inquiry.as_ref().map_or(&nothing, |inquiry| &inquiry.suggested),
            groups: &groups,
        };
        let known = known_recipients(tables, &observed, record.as_ref());
        let routed = || inquiry.as_ref().map(|inquiry| inquiry.route.recipients.clone());
        let recipients = known.or_else(routed).unwrap_or_default();
        let escalation = match &request {
            Some(request) => escalation(settings, request, record.as_ref(), now),
            None => Vec::new(),
        };
        let audiences = Audiences {
            reviewers: &recipients.addresses,
            escalation: &escalation,
            requester: inquiry.as_ref().and_then(|inquiry| inquiry.requester.as_ref()),
            notifies_requester: settings.notify.requester,
            notifies_delegates: settings.notify.out_of_office,
        };
        let targets = targets(audiences, &observed, record.as_ref());
        let recorded = record.as_ref().map(|record| &record.routed_by);
        let recorded = recorded.filter(|routed_by| **routed_by != RoutedBy::Unknown);
        let unrouted = RoutedBy::Unknown;
        let routed_by = recorded.or_else(|| inquiry.as_ref().map(|inquiry| &inquiry.routed_by));
        let explained = explain(RecipientFacts {
            id: &id,
            observed: &observed,
            record: record.as_ref(),
            targets: &targets,
            routed: &recipients.addresses,
            routed_by: routed_by.unwrap_or(&unrouted),
            tables,
            refusal_pauses: RefusalPauses {
                first: settings.limits.refused_first_pause,
                longest: settings.limits.refused_longest_pause,
            },
            now,
        });
        let moments = request.as_ref().map(|request| {
            moments(MomentFacts {
                request,
                record: record.as_ref(),
                sent,
                rules: settings.notify.reminder_rules(settings.escalation.as_ref()),
                is_escalated: has_escalated(settings, &explained),
                grace: settings.notify.grace,
                now,
            })
        });
        Self {
            moments: moments.unwrap_or_default(),
            id,
            request,
            record,
            inquiry,
            recipients,
            explained,
            now,
        }
    }
}

/// Returns the further recipients of a request that is due for escalation, without the managers of recipients.
fn escalation(settings: &Settings, request: &AccessRequest, record: Option<&Record>, now: Timestamp) -> Vec<Address> {
    let announced = record.and_then(|record| record.announced_at(request));
    let (Some(escalation), Some(announced)) = (&settings.escalation, announced) else {
        return Vec::new();
    };
    let waited = Duration::try_from(now.duration_since(announced)).unwrap_or_default();
    if is_escalated(request, escalation.after, waited, now) {
        escalation.routing.of_roles(request)
    } else {
        Vec::new()
    }
}

/// Returns whether no further recipient is to be notified of an escalation that is due. Managers are not looked up, so the
/// first card of an escalation stands for them.
fn has_escalated(settings: &Settings, explained: &Explained) -> bool {
    let further = || {
        let recipients = explained.recipients.iter();
        recipients.filter(|found| found.recipient.audience == Audience::Escalation)
    };
    let manager = settings
        .escalation
        .as_ref()
        .is_some_and(|escalation| escalation.manager);
    !further().any(|found| found.is_due) && (!manager || further().next().is_some())
}

fn unknown(id: &RequestId) -> anyhow::Error {
    let what = format!("could not explain {id}: Teleport has no such Access Request, and no record of it");
    let hint =
        hint!("Compare the ID with `tctl requests ls`, and check that the role has list and read on access_request");
    Hinted { what, hint }.into()
}
