//! Looks up the configured recipients in the background, so that the first card is not delayed.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tracing::info;

use crate::daemon::context::Context;
use crate::daemon::upkeep::InForce;
use crate::domain::recipients::{Address, GroupMembers};
use crate::msteams::{Priority, Teams};

/// Concurrent look-ups. Graph allows 30 requests a second, and a look-up needs up to five.
const CONCURRENCY: usize = 8;

/// How long the members of groups are waited for.
const GROUPS_PATIENCE: Duration = Duration::from_secs(30);

pub(in crate::daemon) async fn preload(context: &Context, addresses: Vec<Address>) {
    let addresses = with_members(context, addresses).await;
    info!(recipients = addresses.len(), "Preloading recipient data...");
    let teams: &Teams = &context.teams;
    let (all, priority) = (addresses.len(), Priority::background());
    let priority = &priority;
    let found = stream::iter(addresses).map(|address| async move {
        match teams.resolve(&address, priority).await {
            Ok(conversation) => {
                info!(
                    recipient = %address, chat_id = conversation.id, kind = conversation.kind.as_str(),
                    "Recipient found, chat found"
                );
                true
            }
            Err(error) => {
                let hint = error.hint();
                let source = source(&context.live.current(), &address);
                warn_if!(
                    context.outages.microsoft_example(&error),
                    recipient = %address, source, %error, hint,
                    "Cannot notify recipient"
                );
                false
            }
        }
    });
    let found = found
        .buffer_unordered(CONCURRENCY)
        .filter(|found| std::future::ready(*found))
        .count()
        .await;
    let missing = all - found;
    info!(found, missing, "Recipient data preloaded and cached.");
}

/// Replaces groups by their members, as far as Microsoft lists them in time.
async fn with_members(context: &Context, addresses: Vec<Address>) -> Vec<Address> {
    let mut members = GroupMembers::default();
    let groups = GroupMembers::groups_in(&addresses);
    context.groups.find(&groups, GROUPS_PATIENCE, &mut members).await;
    members.expand(addresses)
}

/// Returns where the configuration names a recipient.
fn source(live: &InForce, address: &Address) -> Option<String> {
    let in_table = live.routing.place_of(address).map(|place| place.to_string());
    let escalation = live.escalation.as_ref();
    let in_escalation = || escalation?.routing.place_of(address);
    in_table.or_else(|| in_escalation().map(|place| format!("escalation.{place}")))
}
