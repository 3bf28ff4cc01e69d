//! Who may notify people now: one replica at a time for each request.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::config::Limits;
use crate::daemon::context::Context;
use crate::daemon::requests::lane_state::LaneState;
use crate::domain::lifecycle::{Claim, Observed, OthersClaim, RoutedBy};
use crate::domain::request::RequestId;
use crate::domain::rules::{Route, Source};
use crate::teleport::{Error, PluginDataKey, Swap};

/// What is logged where Teleport refuses a record for its size.
pub(super) const TOO_LARGE: &str = "Plugin data of the access request are too large, storing less";

/// How an attempt to claim ended.
#[derive(Debug)]
pub(super) enum Claimed {
    /// The request is ours until we say otherwise, or say nothing for a claim's term.
    Ours,
    /// Somebody else wrote first: look again.
    Lost,
    /// Teleport has neither the request nor data of it any more.
    Gone,
    /// Teleport refuses even the smallest record for its size.
    Full,
}

/// Returns the moment from which a claim counts that was sent at `begun` and is accepted now.
///
/// It counts from now, so that it holds for a whole term however slow Teleport is; but it has to end before another replica
/// that saw it when it was sent takes it for stale.
pub(super) fn holds_since(limits: &Limits, begun: Instant) -> Instant {
    let margin = limits.claim_term / 10;
    let latest = begun + limits.claim_stale.saturating_sub(limits.claim_term + margin);
    Instant::now().min(latest)
}

/// Returns how long to wait for whoever seems to be telling people now, if anybody does.
pub(super) fn others_turn(context: &Context, memory: &mut LaneState) -> Option<Duration> {
    let mark = Claim::of_others(memory.record()?, context.replica())?;
    let wait = memory
        .foreign
        .remaining(&mark, Instant::now(), context.limits.claim_stale);
    Some(wait).filter(|wait| !wait.is_zero())
}

/// Writes our mark into the record, and begins the record if there is none.
pub(super) async fn claim(
    context: &Context,
    id: &RequestId,
    observed: &Observed,
    decided: Option<&Route>,
    memory: &mut LaneState,
) -> Result<Claimed, Error> {
    let routed_by = decided.map_or(RoutedBy::Unknown, routed_by);
    let key = PluginDataKey::request(id);
    for brief in [false, true] {
        let write = memory.stored.claim(observed, &routed_by, context.mark(), brief);
        let swap = context
            .client
            .swap_plugin_data(&key, write.expect.clone(), write.set.clone());
        match swap.await? {
            Swap::Written => {
                memory.stored.claimed(write);
                memory.foreign = OthersClaim::none();
                return Ok(Claimed::Ours);
            }
            Swap::Lost => {
                memory.stored.doubt();
                return Ok(Claimed::Lost);
            }
            Swap::Gone => return Ok(Claimed::Gone),
            Swap::TooLarge if brief || memory.failures > 0 => {}
            Swap::TooLarge => warn!(request.id = %id, "{TOO_LARGE}"),
        }
    }
    Ok(Claimed::Full)
}

fn routed_by(route: &Route) -> RoutedBy {
    match route.source {
        Source::Rules => RoutedBy::Rules(route.named().into_iter().map(str::to_owned).collect()),
        Source::Static | Source::None => RoutedBy::Table,
    }
}
