//! Enters requests in the agenda.

use std::time::Duration;

use crate::clock;
use crate::daemon::context::Context;
use crate::domain::lifecycle::{Observed, Snapshot};
use crate::domain::reminders::{Next, ReminderFacts, Sent, due_reminders};
use crate::domain::request::{AccessRequest, RequestId};

/// Enters when a request is due next, from what its lane knows; a request that was not announced or has ended is never due.
pub(in crate::daemon) fn schedule(context: &Context, id: &RequestId, observed: &Observed, known: Option<&Snapshot>) {
    let Observed::Request(request) = observed else {
        return context.agenda.remove(id);
    };
    let Some((known, announced)) = known.and_then(|known| Some((known, known.record.announced_at(request)?))) else {
        return;
    };
    let live = context.live.current();
    let waited = context.agenda.waited(id, announced);
    let mut sent = context.agenda.sent(id);
    sent.merge(Sent::parse(known.map.get(Sent::KEY).unwrap_or_default()));
    let due = due_reminders(ReminderFacts {
        request,
        rules: live.notify.reminder_rules(live.escalation.as_ref()),
        sent: &sent,
        waited,
        now: clock::now(),
    });
    // The service reads the record again, because another replica may have sent what is due.
    let next = match due.message {
        Some(_) => Next {
            waited: Some(waited),
            ..due.next
        },
        None => due.next,
    };
    enter(context, id, request, waited, next);
}

/// Enters when a request is due next; a request that is resolved and never due again is forgotten.
pub(super) fn enter(context: &Context, id: &RequestId, request: &AccessRequest, waited: Duration, next: Next) {
    if next.is_never() && !request.stage.is_open() {
        context.agenda.remove(id);
    } else {
        context.agenda.set(id, waited, next);
    }
}
