//! Claims: one replica at a time may notify the recipients of a request.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::config::Limits;
use crate::daemon::context::Context;
use crate::daemon::requests::lane_state::LaneState;
use crate::domain::lifecycle::{Claim, NamedByRule, Observed, OthersClaim, RoutedBy};
use crate::domain::request::RequestId;
use crate::domain::rules::{Route, Source};
use crate::teleport::{Error, PluginDataKey, Swap};

/// The log message for a record that Teleport rejects because of its size.
pub(super) const TOO_LARGE: &str = "Plugin data of the Access Request is too large, storing less";

/// The hint for a request whose smallest record does not fit.
pub(super) const PLUGIN_DATA_FULL: &str =
    hint!("Check whether another plugin has filled the plugin data of this Access Request");

/// How an attempt to claim ended.
#[derive(Debug)]
pub(super) enum Claimed {
    /// This replica holds the claim until it releases it, or does not renew it for a term.
    Ours,
    /// Another writer came first: read the record again.
    Lost,
    /// Teleport has neither the request nor its plugin data any more.
    Gone,
    /// Teleport rejects even the smallest record because of its size.
    Full,
}

/// Returns the start of the term of a claim that was sent at `begun` and is accepted now.
///
/// The term starts now, so that a slow Teleport does not shorten it; but it must end before another replica that saw the claim
/// when it was sent considers it stale.
pub(super) fn holds_since(limits: &Limits, begun: Instant) -> Instant {
    let margin = limits.claim_term / 10;
    let latest = begun + limits.claim_stale.saturating_sub(limits.claim_term + margin);
    Instant::now().min(latest)
}

/// Returns how long another replica's claim may still hold, if there is one.
pub(super) fn others_turn(context: &Context, memory: &mut LaneState) -> Option<Duration> {
    let mark = Claim::of_others(memory.record()?, context.replica())?;
    let wait = memory
        .foreign
        .remaining(&mark, Instant::now(), context.limits.claim_stale);
    Some(wait).filter(|wait| !wait.is_zero())
}

/// Writes the mark of this replica into the record, and creates the record if there is none.
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

/// Returns a route as the record of a request keeps it.
pub(in crate::daemon) fn routed_by(route: &Route) -> RoutedBy {
    match route.source {
        Source::Rules => {
            let named = route.named.iter().cloned();
            let named = named.map(|(recipient, rule)| NamedByRule {
                recipient,
                rule: Some(rule),
            });
            RoutedBy::Rules(named.collect())
        }
        Source::Static | Source::None => RoutedBy::Table,
    }
}
