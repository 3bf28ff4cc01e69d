//! Follows the app's secret: a file that is replaced heals what an expired secret broke, without anybody's help.

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

/// The least time between two rounds of tries after recoveries.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);

/// Looks at the secret's file now and then, and takes up what stands there, or in a configuration that was read again. A file
/// that cannot be used changes nothing, and is logged once.
pub(in crate::daemon) async fn follow(context: Arc<Context>, heartbeat: Heartbeat) -> Infallible {
    let mut live = context.live.subscribe();
    let mut in_force = live.borrow_and_update().app_secret.clone();
    let mut warned = false;
    loop {
        // The sender lives as long as the context.
        let changed = timeout(context.limits.secret_look_every, live.changed());
        let next = if heartbeat.while_waiting(changed).await.is_ok() {
            warned = false;
            let configured = live.borrow_and_update().app_secret.clone();
            Ok(Some(configured).filter(|configured| *configured != in_force))
        } else {
            let known = in_force.clone();
            heartbeat.while_waiting(apart(move || known.renewed())).await
        };
        match next {
            Ok(None) => warned = false,
            Ok(Some(secret)) => {
                warned = false;
                in_force = secret;
                heartbeat.while_waiting(take_up(&context, &in_force)).await;
            }
            Err(error) if !warned => {
                warned = true;
                let file = in_force.file.as_deref().map(Path::display);
                let file = file.as_ref().map(tracing::field::display);
                warn!(
                    file,
                    error, "The file of the app's secret cannot be used; the secret in force stays so"
                );
            }
            Err(_) => {}
        }
    }
}

/// Proves the new secret at once, while tokens that the old one brought still serve.
async fn take_up(context: &Context, secret: &AppSecret) {
    match context.teams.replace_secret(secret.value.clone()).await {
        Ok(()) => info!("The app's secret was replaced, and Microsoft accepts it"),
        Err(error) => {
            let hint = error.hint();
            warn!(%error, hint, "The app's secret was replaced, and no token was had with it yet");
        }
    }
}

/// Lets requests that wait try again as soon as a service answers after failures; their own pauses may be long by then.
pub(in crate::daemon) async fn try_waiting(context: Arc<Context>, lanes: Lanes, heartbeat: Heartbeat) -> Infallible {
    loop {
        let recovered = heartbeat.while_waiting(context.outages.recovered()).await;
        debug!("A service answers again; retrying deferred deliveries");
        lanes.wake(recovered);
        // Services that come and go must not turn each of their successes into a round of tries.
        heartbeat.while_waiting(sleep(BETWEEN_ROUNDS)).await;
    }
}
