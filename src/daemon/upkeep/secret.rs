//! Follows the client secret: replacing its file ends the outage of an expired secret without a restart.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::blocking::apart;
use crate::config::AppSecret;
use crate::daemon::context::Context;
use crate::daemon::requests::Lanes;
use crate::heartbeat::Heartbeat;

/// The least time between two rounds of retries after recoveries.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);

/// Checks the file of the client secret periodically, and applies a new secret from it or from a reloaded configuration. A
/// file that cannot be used changes nothing and is logged once.
pub(in crate::daemon) async fn follow(context: Arc<Context>, heartbeat: Heartbeat) -> Infallible {
    let mut live = context.live.subscribe();
    let mut current = live.borrow_and_update().app_secret.clone();
    let mut warned = false;
    loop {
        // The sender lives as long as the context.
        let changed = timeout(context.limits.secret_look_every, live.changed());
        let next = if heartbeat.while_waiting(changed).await.is_ok() {
            warned = false;
            let configured = live.borrow_and_update().app_secret.clone();
            Ok(Some(configured).filter(|configured| *configured != current))
        } else {
            let known = current.clone();
            heartbeat.while_waiting(apart(move || known.renewed())).await
        };
        match next {
            Ok(None) => warned = false,
            Ok(Some(secret)) => {
                warned = false;
                current = secret;
                heartbeat.while_waiting(apply(&context, &current)).await;
            }
            Err(error) if !warned => {
                warned = true;
                let file = current.file.as_deref().map(Path::display);
                let file = file.as_ref().map(tracing::field::display);
                warn!(file, error, "Could not read the client secret, keeping the current one");
            }
            Err(_) => {}
        }
    }
}

/// Requests tokens with the new secret immediately. The current tokens stay valid meanwhile.
async fn apply(context: &Context, secret: &AppSecret) {
    match context.teams.replace_secret(secret.value.clone()).await {
        Ok(()) => info!("Client secret replaced, Microsoft accepts it"),
        Err(error) => {
            let hint = error.hint();
            warn!(%error, hint, "Client secret replaced, but Microsoft has issued no token for it yet");
        }
    }
}

/// Retries deferred requests as soon as a service answers again; their own pauses may be long by then.
pub(in crate::daemon) async fn retry_deferred(context: Arc<Context>, lanes: Lanes, heartbeat: Heartbeat) -> Infallible {
    loop {
        let recovered = heartbeat.while_waiting(context.outages.recovered()).await;
        debug!("A service answers again; retrying deferred deliveries");
        lanes.wake(recovered);
        // A service that fails every other moment must not cause a round of retries with each success.
        heartbeat.while_waiting(sleep(BETWEEN_ROUNDS)).await;
    }
}
