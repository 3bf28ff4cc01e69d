//! Upgrades the app where an older version than that of the catalog is installed, if `[msapi] upgrade_app` is set.

use std::convert::Infallible;
use std::sync::Arc;

use tracing::{debug, info, warn};

use crate::daemon::context::Context;
use crate::daemon::tasks::Tasks;
use crate::heartbeat::Heartbeat;
use crate::telemetry::Health;

/// Starts the service if it is wanted.
pub(in crate::daemon) fn start(is_wanted: bool, context: &Arc<Context>, tasks: &Tasks, health: &Health) {
    if is_wanted {
        let heartbeat = health.register("upgrades");
        tasks.service("upgrades", keep(Arc::clone(context), heartbeat));
    }
}

/// Compares the installation of each recipient with the catalog, after the recipient was found, until shutdown. A failure is
/// not retried: the installed version still posts cards.
async fn keep(context: Arc<Context>, heartbeat: Heartbeat) -> Infallible {
    let teams = &context.teams;
    let mut is_warned = false;
    loop {
        let holder = heartbeat.while_waiting(teams.next_installation()).await;
        let (kind, id) = (holder.kind(), holder.id());
        match heartbeat.while_waiting(Box::pin(teams.upgrade(&holder))).await {
            Ok(Some((from, to))) => info!(kind, id, from, to, "Installed app upgraded"),
            Ok(None) => {}
            Err(error) if is_warned => debug!(kind, id, %error, "Could not upgrade the installed app"),
            Err(error) => {
                is_warned = true;
                let hint = error.hint();
                warn!(kind, id, %error, hint, "Could not upgrade the installed app; further failures are logged at debug level");
            }
        }
    }
}
