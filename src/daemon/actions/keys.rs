//! Keeps the keys that verify requests from Teams, and logs when they cannot be fetched.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{debug, info, warn};

use crate::heartbeat::Heartbeat;
use crate::msteams::Error;
use crate::msteams::inbound::{KeyCache, KeySet, KeySource};

/// Fetches the keys when they are due, until shutdown.
pub(super) async fn keep(cache: Arc<KeyCache>, source: KeySource, heartbeat: Heartbeat) -> Infallible {
    let is_failing = AtomicBool::new(false);
    let fetch = || async {
        let fetched = source.fetch().await;
        report(&fetched, &is_failing, cache.age().is_some());
        fetched
    };
    cache.keep(&heartbeat, fetch).await
}

/// Logs the first failure, and the first success after it.
fn report(fetched: &Result<KeySet, Error>, is_failing: &AtomicBool, has_keys: bool) {
    let was_failing = is_failing.swap(fetched.is_err(), Ordering::Relaxed);
    match fetched {
        Err(error) if !was_failing => {
            let (hint, consequence) = (error.hint(), consequence(has_keys));
            warn!(%error, hint, consequence, "Could not fetch the keys that verify requests from Teams");
        }
        Err(error) => debug!(%error, "Could not fetch the keys that verify requests from Teams"),
        Ok(_) if was_failing => info!("Keys that verify requests from Teams fetched"),
        Ok(_) => debug!("Keys that verify requests from Teams fetched"),
    }
}

fn consequence(has_keys: bool) -> &'static str {
    if has_keys {
        "the known keys stay in use"
    } else {
        "buttons do not work until they are fetched"
    }
}
