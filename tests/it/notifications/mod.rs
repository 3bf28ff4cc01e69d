//! Notifications besides the cards for reviewers: requesters, reminders, escalation and held announcements.

mod escalation;
mod grace;
mod out_of_office;
mod reminders;
mod requester;

use jiff::{SignedDuration, Timestamp};

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

/// Moves the announcement of a request three hours back.
fn announce_earlier(town: &Town, id: &str) {
    let mut data = town.cluster.plugin_data(id);
    let announced: Timestamp = data["x_announced"].parse().unwrap();
    let earlier = announced - SignedDuration::from_hours(3);
    data.insert("x_announced".to_owned(), earlier.to_string());
    town.cluster.set_plugin_data(id, data);
}

/// Returns the usual configuration with further tables.
fn config(town: &Town, tables: &str) -> String {
    format!("{}\n{tables}", town.config())
}
