//! Checks at the start the permission that otherwise only the first request would need.

use tracing::{debug, warn};

use crate::teleport::{Client, Meaning};

/// Warns if the role may not write plugin data, without which no request can be claimed.
pub(in crate::daemon) async fn probe(client: &Client) {
    match client.check_write_permission().await {
        Ok(()) => debug!("Plugin data can be written"),
        Err(error) if error.meaning() == Meaning::Denied => {
            let hint = error.hint();
            warn!(%error, hint, "The role lacks a permission; Access Requests cannot be announced");
        }
        // The watch reports other problems with Teleport.
        Err(error) => debug!(%error, "Could not check the permission to write plugin data"),
    }
}
