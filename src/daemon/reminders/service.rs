//! The service that sends reminders when they are due.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::reminders::agenda::ClockWatch;
use crate::daemon::reminders::schedule::rules;
use crate::daemon::reminders::sending::send;
use crate::daemon::requests::Lanes;
use crate::daemon::tasks::Tasks;
use crate::domain::lifecycle::Record;
use crate::domain::reminders::{ReminderFacts, Sent, due_reminders};
use crate::domain::request::RequestId;
use crate::heartbeat::Heartbeat;
use crate::teleport::{Error, PluginDataKey, Swap};

/// The number of requests whose reminders are sent at the same time.
const CONCURRENCY: usize = 8;

/// Attempts to record a step when other writers come first, before a pause.
const LOST_SWAPS: usize = 4;

/// The pause after that.
const AFTER_LOST_SWAPS: Duration = Duration::from_secs(1);

/// Sends what is due, until the daemon stops.
pub(in crate::daemon) async fn run(
    context: Arc<Context>,
    lanes: Lanes,
    tasks: Tasks,
    heartbeat: Heartbeat,
) -> Infallible {
    let (mut watch, slots) = (ClockWatch::new(), Arc::new(Semaphore::new(CONCURRENCY)));
    loop {
        let id = heartbeat.while_waiting(context.agenda.due(&mut watch)).await;
        let slot = heartbeat.while_waiting(Arc::clone(&slots).acquire_owned()).await;
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
        let record = Record::decode(&map);
        let (Some(request), Some(record)) = (request, record) else {
            context.agenda.remove(id);
            return Ok(());
        };
        let Some(announced) = record.announced_at(&request) else {
            context.agenda.remove(id);
            return Ok(());
        };
        let (live, known) = (context.live.current(), Sent::decode(&map));
        let waited = context.agenda.waited(id, announced);
        let due = due_reminders(ReminderFacts {
            request: &request,
            rules: rules(&live),
            sent: &known,
            waited,
            now: clock::now(),
        });
        context.agenda.set(id, waited, due.next);
        if due.escalated {
            lanes.plan_again(id);
        }
        let Some(step) = due.message else {
            return Ok(());
        };
        let (expect, set) = known.add(&due.steps, &map);
        match context.client.swap_plugin_data(&key, expect, set).await? {
            Swap::Written => {
                send(context, lanes, &live, &request, &record, step, waited).await;
                return Ok(());
            }
            // Another replica has sent it, or another step.
            Swap::Lost => {}
            Swap::Gone => {
                context.agenda.remove(id);
                return Ok(());
            }
            Swap::TooLarge => {
                warn!(request.id = %id, "Plugin data of the Access Request is full; no reminder is sent");
                return Ok(());
            }
        }
    }
    context.agenda.postpone(id, AFTER_LOST_SWAPS);
    Ok(())
}
