//! Follows the credential of the app: replacing its file ends the outage of an expired one without a restart.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::clock;
use crate::config::AppCredential;
use crate::daemon::context::Context;
use crate::daemon::requests::Lanes;
use crate::daemon::upkeep::FileFollower;
use crate::daemon::upkeep::certificate_expiry::ExpiryWarnings;
use crate::heartbeat::Heartbeat;
use crate::msteams::ActiveCredential;

/// The least time between two rounds of retries after recoveries.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);

/// How often the expiry of a certificate is checked.
const EXPIRY_CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// Checks the file of the credential periodically, and verifies a new credential from it or from a reloaded configuration. A
/// file that cannot be used changes nothing and is logged once.
pub(in crate::daemon) async fn follow(context: Arc<Context>, heartbeat: Heartbeat) -> Infallible {
    let teams = &context.teams;
    let mut replaced = teams.credential_replacements();
    let mut follower = FileFollower::new(context.limits.credential_every);
    let mut logged = None;
    let mut expiry = ExpiryWarnings::default();
    loop {
        let current = replaced.borrow().clone();
        let mut acceptances = current.acceptances();
        log_position(&current, &mut logged);
        expiry.check(current.credential.certificate(), clock::now(), &context.metrics);
        let read = {
            let current = Arc::clone(&current);
            move || current.credential.renewed()
        };
        let outcome = tokio::select! {
            // A replacement wins over a file that was read before it.
            biased;
            // The sender lives as long as the context.
            _ = heartbeat.while_waiting(replaced.changed()) => None,
            _ = acceptances.changed() => continue,
            () = sleep(EXPIRY_CHECK_INTERVAL) => continue,
            outcome = follower.next(&heartbeat, read) => Some(outcome),
        };
        match outcome {
            None => {
                follower.reset();
                logged = None;
                let replaced = replaced.borrow().credential.clone();
                let is_routine = is_routine(&current.credential, &replaced);
                heartbeat.while_waiting(verify(&context, &replaced, is_routine)).await;
            }
            // The next round verifies it.
            Some(Ok(renewed)) => teams.replace_credential(Some(&current), renewed),
            Some(Err(error)) => {
                if current.credential.secrets().is_empty() {
                    let kind = current.credential.kind();
                    warn!(
                        kind,
                        error, "Could not read the credential of the app, keeping the current one"
                    );
                } else {
                    warn!(error, "Could not read the client secret, keeping the current one");
                }
            }
        }
    }
}

/// Logs which of several client secrets Microsoft accepts, when that changes.
fn log_position(current: &ActiveCredential, logged: &mut Option<usize>) {
    let secrets = current.credential.secrets().len();
    if let Some(position) = current.accepted()
        && secrets > 1
        && logged.replace(position) != Some(position)
    {
        info!(
            position = position + 1,
            secrets, "Microsoft accepts a client secret of the list"
        );
    }
}

/// Returns whether a replacement happens without an operator, every hour or more often.
fn is_routine(old: &AppCredential, new: &AppCredential) -> bool {
    match (old, new) {
        (AppCredential::FederatedToken(old), AppCredential::FederatedToken(new)) => old.file == new.file,
        _ => false,
    }
}

/// Requests tokens with the new credential immediately. The current tokens stay valid meanwhile.
async fn verify(context: &Context, credential: &AppCredential, is_routine: bool) {
    let (kind, is_secret) = (credential.kind(), !credential.secrets().is_empty());
    match context.teams.verify_credential().await {
        Ok(()) if is_routine => debug!(kind, "Credential of the app renewed, Microsoft accepts it"),
        Ok(()) if is_secret => info!("Client secret replaced, Microsoft accepts it"),
        Ok(()) => info!(kind, "Credential of the app replaced, Microsoft accepts it"),
        Err(error) => {
            let hint = error.hint();
            if is_secret {
                warn!(%error, hint, "Client secret replaced, but Microsoft has issued no token for it yet");
            } else {
                warn!(kind, %error, hint, "Credential of the app replaced, but Microsoft has issued no token for it yet");
            }
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
