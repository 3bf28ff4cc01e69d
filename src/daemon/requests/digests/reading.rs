//! Reads which requests share a card that another process began.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::daemon::context::Context;
use crate::daemon::requests::digests::table::DigestId;
use crate::teleport::{Meaning, PluginDataKind};

/// The time after a failed read of all records in which no update of a card reads them again.
const READ_PAUSE: Duration = Duration::from_mins(1);

/// Reads all records, so that no request is missing on a card that another process began.
///
/// A resolution does not wait for a list: after a short time, or if Teleport does not answer, the card shows the known requests,
/// and the next listing adds the others. After a failure, no delivery reads for a while, those included that waited for it.
pub(super) async fn read_members(context: &Context, digest: DigestId, halt: &CancellationToken) {
    let digests = &context.digests;
    let read = async {
        let mut failed = digests.reading.lock().await;
        let is_pausing = failed.is_some_and(|failed| failed.elapsed() < READ_PAUSE);
        if is_pausing || digests.is_complete(digest) {
            return;
        }
        let records = context.client.all_plugin_data(PluginDataKind::AccessRequest);
        let error = match timeout(context.limits.look_up_patience, records).await {
            Ok(Ok(records)) => {
                digests.learn_members(&records, context.replica(), Some(digest));
                *failed = None;
                return;
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        *failed = Some(Instant::now());
        // Records that are too large for one message are in no listing either.
        if error.as_ref().is_none_or(|error| error.meaning() != Meaning::Exhausted) {
            context.resync_now.notify_one();
        }
        let (error, hint) = (
            error.as_ref().map(tracing::field::display),
            error.as_ref().and_then(|error| error.hint()),
        );
        debug!(error, hint, "Could not read in time which Access Requests share a card");
    };
    tokio::select! {
        () = halt.cancelled() => {}
        () = read => {}
    }
}
