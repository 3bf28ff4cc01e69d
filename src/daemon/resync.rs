//! Lists everything and feeds it to the lanes: on every connect, and on a timer. There is no other way to recover.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use tracing::debug;
use tracing::warn;

use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::lanes::Lanes;
use crate::domain::lifecycle::{Record, Shown};
use crate::domain::request::{AccessRequest, Stage};
use crate::teleport::Error;

/// Lists rules, then requests and records.
///
/// A request that is not listed may be over, or hidden from our role. Its cards are closed only if its recorded end has
/// passed; others are left alone, and told of once. The first of their ends is returned: then it is time to look again.
pub(super) async fn resync(context: &Context, lanes: &Lanes) -> Result<Option<Timestamp>, Error> {
    context.rules.load(&context.client).await?;
    let listing = lanes.begin_listing();
    let mut records = context.client.all_plugin_data().await?;
    let mut listed = HashSet::new();
    let each = |request: AccessRequest| {
        listed.insert(request.id.clone());
        // Absent if it cannot be decoded; the lane reads it then, and waits until it can.
        let record = records.remove(&request.id).unwrap_or_else(|| Some(BTreeMap::new()));
        lanes.listed(request, record, listing);
    };
    context.client.list_requests(each).await?;
    debug!(requests = listed.len(), "Access requests listed");

    let now = clock::now();
    lanes.forget_ended(&listed, listing, now);
    let mut hidden = 0_usize;
    let mut next_end: Option<Timestamp> = None;
    for (id, map) in records {
        let Some((map, record)) = map.and_then(|map| Record::decode(&map).map(|record| (map, record))) else {
            continue;
        };
        let is_open = |shown: Shown| shown.stage == Stage::Pending;
        if lanes.heard(&id, listing) || !record.cards.iter().any(|card| is_open(record.shown(card))) {
            continue;
        }
        // The Go plugin does not note when a request ends; it is over at the latest when its access would be.
        let end = record.expires.or(record.access_until);
        if end.is_some_and(|end| end <= now) {
            lanes.listed_gone(&id, map, listing);
        } else {
            hidden += 1;
            next_end = next_end.into_iter().chain(end).min();
        }
    }
    if context.hide(hidden) && hidden > 0 {
        warn!(
            cards.hidden = hidden,
            hint = "the role needs list and read on access_request; requests that were deleted meanwhile are closed at \
                    their recorded end",
            "{hidden} requests with open cards are not in the list"
        );
    }
    Ok(next_end)
}
