//! Checks what reminders of Access Lists need.

use crate::cli::validate::everything::failed_for;
use crate::cli::validate::results::{CheckResults, counted};
use crate::teleport::{Client, Meaning};

/// Checks the permission to list Access Lists; `role` is how hints name the role.
pub(super) async fn permission(client: &Client, role: &str, results: &mut CheckResults) {
    let check = "permission to list Access Lists";
    let mut reviewed = 0_usize;
    match client.access_lists(|_| reviewed += 1).await {
        Ok(listed) => {
            let detail = format!("granted ({}, {reviewed} with reviews)", counted(listed, "list"));
            results.ok(check, detail);
        }
        Err(error) if error.meaning() == Meaning::Unsupported => {
            let hint = hint!("Upgrade the cluster, or set `[notify] access_lists` to false");
            results.failed(check, error.to_string(), Some(hint));
        }
        Err(error) => failed_for(results, check, &error, role),
    }
}
