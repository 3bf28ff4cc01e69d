//! Upgrades the app where an older version than that of the catalog is installed, if `[msapi] upgrade_app` is set.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::daemon::context::Context;
use crate::daemon::tasks::Tasks;
use crate::heartbeat::Heartbeat;
use crate::msteams::Retry;
use crate::telemetry::Health;

/// Starts the service if it is wanted.
pub(in crate::daemon) fn start(is_wanted: bool, context: &Arc<Context>, tasks: &Tasks, health: &Health) {
    if is_wanted {
        let heartbeat = health.register("upgrades");
        tasks.service("upgrades", keep(Arc::clone(context), heartbeat));
    }
}

/// Compares the installation of each recipient with the catalog, after the recipient was found, until shutdown. A failure that
/// may pass is retried a few times, after a pause for all: no card waits, because the installed version still posts cards.
async fn keep(context: Arc<Context>, heartbeat: Heartbeat) -> Infallible {
    let teams = &context.teams;
    let limits = &context.limits;
    let mut pauses = Backoff::new(limits.again_first_pause, limits.again_longest_pause);
    let mut is_warned = false;
    loop {
        let holder = heartbeat.while_waiting(teams.next_installation()).await;
        let (kind, id) = (holder.kind(), holder.id());
        let error = match heartbeat.while_waiting(Box::pin(teams.upgrade(&holder))).await {
            Ok(upgraded) => {
                if let Some((from, to)) = upgraded {
                    info!(kind, id, from, to, "Installed app upgraded");
                }
                pauses.reset();
                continue;
            }
            Err(error) => error,
        };
        if is_warned {
            debug!(kind, id, %error, "Could not upgrade the installed app");
        } else {
            is_warned = true;
            let hint = error.hint();
            warn!(kind, id, %error, hint, "Could not upgrade the installed app; further failures are logged at debug level");
        }
        if error.retry() != Retry::Never {
            heartbeat.while_waiting(sleep(pauses.pause())).await;
            teams.upgrade_again(holder);
        }
    }
}
