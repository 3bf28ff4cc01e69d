//! Writes outcomes of a run into the record.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::daemon::context::Context;
use crate::daemon::requests::claiming::holds_since;
use crate::domain::lifecycle::Write;
use crate::domain::request::RequestId;
use crate::teleport::{Error, PluginDataKey, Swap};

/// The longest pause between two attempts to write while the daemon stops.
const WHILE_STOPPING: Duration = Duration::from_millis(500);

/// The result of one attempt to write.
pub(super) enum Settled {
    /// Written; the term of the claim starts now.
    Written(Box<Write>, Instant),
    /// Another replica wrote first; this is the current record.
    Overtaken(BTreeMap<String, String>),
    /// Teleport has no such request any more.
    Gone,
    /// The record is too large for Teleport.
    TooLarge,
    /// Teleport did not answer. The write may have happened.
    Failed(Error),
    /// The pause after a failure is over.
    Retry,
}

/// Writes outcomes, and reads the record if another replica wrote first.
pub(super) fn settle<'a>(
    context: &'a Context,
    id: &'a RequestId,
    write: Write,
) -> Pin<Box<dyn Future<Output = Settled> + Send + 'a>> {
    Box::pin(async move {
        let (begun, key) = (Instant::now(), PluginDataKey::request(id));
        let (expect, set) = (write.expect.clone(), write.set.clone());
        match context.client.swap_plugin_data(&key, expect, set).await {
            Ok(Swap::Written) => {
                context.outages.teleport_works();
                Settled::Written(Box::new(write), holds_since(&context.limits, begun))
            }
            Ok(Swap::Gone) => Settled::Gone,
            Ok(Swap::TooLarge) => Settled::TooLarge,
            Ok(Swap::Lost) => match context.client.plugin_data(&key).await {
                Ok(map) => Settled::Overtaken(map),
                Err(error) => Settled::Failed(error),
            },
            Err(error) => Settled::Failed(error),
        }
    })
}

/// Waits before a failed write is retried.
pub(super) async fn retry_later(context: &Context, pause: Duration) -> Settled {
    // While the daemon stops, delivered cards must be recorded within seconds.
    if context.stopping.is_cancelled() {
        sleep(pause.min(WHILE_STOPPING)).await;
    } else {
        tokio::select! {
            () = context.stopping.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    Settled::Retry
}
