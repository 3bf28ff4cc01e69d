//! The service that sends reminders when they are due.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::reminders::agenda::ClockWatch;
use crate::daemon::reminders::schedule::enter;
use crate::daemon::reminders::sending::Reminding;
use crate::daemon::requests::Lanes;
use crate::daemon::tasks::Tasks;
use crate::domain::lifecycle::Record;
use crate::domain::reminders::{ReminderFacts, Sent, due_reminders};
use crate::domain::request::RequestId;
use crate::heartbeat::Heartbeat;
use crate::teleport::{Error, PluginDataKey, Swap};

/// The number of requests whose reminders are sent at the same time. During an outage of Microsoft, the others are queued, and
/// nothing of them is recorded as sent.
const CONCURRENCY: usize = 64;

/// Attempts to record a step when other writers come first, before a pause.
const LOST_SWAPS: usize = 4;

/// The pause after that.
const AFTER_LOST_SWAPS: Duration = Duration::from_secs(1);

/// Sends what is due, until the daemon stops.
pub(super) async fn run(context: Arc<Context>, lanes: Lanes, tasks: Tasks, heartbeat: Heartbeat) -> Infallible {
    let (mut clocks, slots) = (ClockWatch::new(), Arc::new(Semaphore::new(CONCURRENCY)));
    let mut queue: VecDeque<RequestId> = VecDeque::new();
    loop {
        let slot = tokio::select! {
            due = heartbeat.while_waiting(context.agenda.due(&mut clocks)) => {
                // Cards do not wait for reminders.
                if due.escalates {
                    lanes.plan_again(&due.id);
                }
                queue.extend(due.reminds.then_some(due.id));
                continue;
            }
            slot = Arc::clone(&slots).acquire_owned(), if !queue.is_empty() => slot,
        };
        let Some(id) = queue.pop_front() else {
            continue;
        };
        let (context, lanes) = (Arc::clone(&context), lanes.clone());
        // A shutdown waits for it, because a message that was recorded as sent is not sent again.
        tasks.must_finish("reminder", async move {
            if let Err(error) = remind(&context, &lanes, &id).await {
                debug!(request.id = %id, %error, "Reminder deferred");
                context.outages.teleport_failed(&error);
                context.agenda.postpone(&id, context.limits.outage_pause);
            }
            drop(slot);
        });
    }
}

/// Sends what is due for a request, from its current state and record.
async fn remind(context: &Context, lanes: &Lanes, id: &RequestId) -> Result<(), Error> {
    let key = PluginDataKey::request(id);
    for _ in 0..LOST_SWAPS {
        if context.stopping.is_cancelled() {
            return Ok(());
        }
        let (request, map) = tokio::try_join!(context.client.request(id), context.client.plugin_data(&key))?;
        context.outages.teleport_works();
        let found = request.zip(Record::decode(&map));
        let found = found.and_then(|(request, record)| Some((record.announced_at(&request)?, request, record)));
        let Some((announced, request, record)) = found else {
            context.agenda.remove(id);
            return Ok(());
        };
        let live = context.live.current();
        let mut known = context.agenda.sent(id);
        known.merge(Sent::decode(&map));
        let waited = context.agenda.waited(id, announced);
        let due = due_reminders(ReminderFacts {
            request: &request,
            rules: live.notify.reminder_rules(live.escalation.as_ref()),
            sent: &known,
            waited,
            now: clock::now(),
        });
        let Some(step) = due.message else {
            enter(context, id, &request, waited, due.next);
            return Ok(());
        };
        let reminding = Reminding::new(context, lanes, &live, &request, step, waited);
        let messages = reminding.messages(&record).await?;
        let (expect, set) = known.add(&due.steps, &map);
        let swap = context.client.swap_plugin_data(&key, expect, set).await?;
        // Another replica has sent it, or another step.
        if swap == Swap::Lost {
            continue;
        }
        context.agenda.mark_sent(id, &due.steps);
        enter(context, id, &request, waited, due.next);
        match swap {
            Swap::Written => reminding.send(messages).await,
            Swap::Gone => context.agenda.remove(id),
            Swap::Lost | Swap::TooLarge => {
                warn!(request.id = %id, "Plugin data of the Access Request is full; no reminder is sent");
            }
        }
        return Ok(());
    }
    context.agenda.postpone(id, AFTER_LOST_SWAPS);
    Ok(())
}
