//! Logs and counts changes of the Teleport identity. The identity is followed as long as the daemon runs, independent
//! of any connection.

use std::convert::Infallible;
use std::time::Duration;

use tokio::join;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::clock;
use crate::clock::readable;
use crate::daemon::outages::Outage;
use crate::heartbeat::Heartbeat;
use crate::telemetry::Metrics;
use crate::teleport::{IdentityEvent, Keyring};

/// Without renewals only the expiry is checked.
const EXPIRY_CHECK_INTERVAL: Duration = Duration::from_mins(1);

const SIGN_AGAIN: &str = hint!("Issue a new identity with `tctl auth sign`, or check why tbot does not renew it");

pub(in crate::daemon) async fn follow(
    keyring: Keyring,
    refresh: Option<Duration>,
    metrics: Metrics,
    heartbeat: Heartbeat,
) -> Option<Infallible> {
    metrics.identity_ends(keyring.newest().not_after);
    // One at a time: the follower waits until the last event was logged.
    let (sender, mut events) = mpsc::channel(1);
    let logged = async {
        let mut broken = Outage::default();
        while let Some(event) = events.recv().await {
            count(&event, &metrics);
            log(event, &mut broken);
        }
    };
    let (followed, ()) = join!(
        keyring.follow(refresh.unwrap_or(EXPIRY_CHECK_INTERVAL), sender, heartbeat),
        logged
    );
    followed
}

fn count(event: &IdentityEvent, metrics: &Metrics) {
    match event {
        IdentityEvent::Renewed(identity) => {
            metrics.identity_ends(identity.not_after);
            metrics.identity_renewed(true);
        }
        IdentityEvent::Broken { .. } => metrics.identity_renewed(false),
        IdentityEvent::NearEnd(_) | IdentityEvent::Ended(_) => {}
    }
}

fn log(event: IdentityEvent, broken: &mut Outage) {
    match event {
        IdentityEvent::Renewed(identity) => {
            broken.works(Instant::now());
            info!(user = identity.user, expires = %identity.not_after, "Teleport identity renewed");
        }
        IdentityEvent::Broken { error, current } => {
            let (hint, expires) = (error.hint(), current.not_after);
            warn_if!(
                broken.fails(Instant::now(), &error.to_string()).is_some(),
                %error, hint, %expires,
                "Could not renew the Teleport identity, keeping the current one"
            );
        }
        IdentityEvent::NearEnd(identity) => {
            let expires_in = readable(identity.left(clock::now()));
            warn!(
                file = %identity.file.display(), user = identity.user, expires = %identity.not_after, expires_in,
                hint = SIGN_AGAIN, "Teleport identity expires soon and has not been renewed"
            );
        }
        IdentityEvent::Ended(identity) => {
            error!(
                file = %identity.file.display(), user = identity.user, expired = %identity.not_after, hint = SIGN_AGAIN,
                "Teleport identity expired, new connections fail until it is renewed"
            );
        }
    }
}
