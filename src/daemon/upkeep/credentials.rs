//! Tells what becomes of the credentials. They are followed from the root of the daemon, for as long as it runs: nothing
//! that connects, and no connection that fails, can end it.

use std::convert::Infallible;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::join;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::daemon::outages::Outage;
use crate::heartbeat::Heartbeat;
use crate::telemetry::Metrics;
use crate::teleport::{Identity, IdentityEvent, Keyring};

/// Where nobody wants renewals, only the end is looked out for.
const LOOK_FOR_THE_END: Duration = Duration::from_mins(1);

const SIGN_AGAIN: &str = "sign a new one with tctl auth sign, or see why tbot does not renew it";

pub(in crate::daemon) async fn follow(
    keyring: Keyring,
    refresh: Option<Duration>,
    metrics: Metrics,
    heartbeat: Heartbeat,
) -> Option<Infallible> {
    metrics.identity_ends(keyring.newest().not_after);
    // One at a time: who reports waits until the last line is written.
    let (sender, mut events) = mpsc::channel(1);
    let told = async {
        let mut broken = Outage::default();
        while let Some(event) = events.recv().await {
            count(&event, &metrics);
            tell(event, &mut broken);
        }
    };
    let (followed, ()) = join!(
        keyring.follow(refresh.unwrap_or(LOOK_FOR_THE_END), sender, heartbeat),
        told
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

fn tell(event: IdentityEvent, broken: &mut Outage) {
    match event {
        IdentityEvent::Renewed(identity) => {
            broken.works(Instant::now());
            info!(user = identity.user, expires = %identity.not_after, "Credentials renewed");
        }
        IdentityEvent::Broken { error, in_force } => {
            let (hint, expires) = (error.hint(), in_force.not_after);
            let what = "The credentials were not renewed; those in force stay so";
            if broken.fails(Instant::now(), "").is_some() {
                warn!(%error, hint, %expires, "{what}");
            } else {
                debug!(%error, hint, %expires, "{what}");
            }
        }
        IdentityEvent::NearEnd(identity) => {
            let left = left(&identity);
            warn!(
                file = %identity.file.display(), user = identity.user, expires = %identity.not_after, hint = SIGN_AGAIN,
                "The credentials end in {left:#}, and no new ones have come"
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

/// Rounds to what a person wants to know.
fn left(identity: &Identity) -> SignedDuration {
    let left = SignedDuration::try_from(identity.left(clock::now())).unwrap_or_default();
    let (seconds, whole) = match left.as_secs() {
        seconds @ 0..120 => (seconds, 1),
        seconds @ 120..7_200 => (seconds, 60),
        seconds => (seconds, 3_600),
    };
    SignedDuration::from_secs(seconds - seconds % whole)
}
