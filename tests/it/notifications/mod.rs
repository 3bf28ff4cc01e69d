//! Notifications besides the cards for reviewers: requesters, reminders, escalation and held announcements.

mod escalation;
mod grace;
mod reminders;
mod requester;

use crate::support::Town;
use crate::world::cluster::ClusterOptions;
use crate::world::tenant::{TenantOptions, User};

/// The requester of the usual request.
const ROBIN: &str = "robin@example.com";

/// A town whose usual requester uses Teams.
async fn town() -> (Town, User) {
    town_with(TenantOptions::default()).await
}

async fn town_with(tenant: TenantOptions) -> (Town, User) {
    let town = Town::build_with(ClusterOptions::default(), tenant).await;
    let robin = town.tenant.add_user("Robin", Some(ROBIN), ROBIN);
    (town, robin)
}

/// Returns the usual configuration with further tables.
fn config(town: &Town, tables: &str) -> String {
    format!("{}\n{tables}", town.config())
}
