//! Checks what reviews in Teams need beyond notifications.

use std::collections::BTreeMap;

use crate::cli::validate::results::{CheckResults, counted};
use crate::config::{ReviewSettings, Settings};
use crate::daemon::review_port;
use crate::domain::recipients::Address;
use crate::msteams::inbound::KeySource;
use crate::teleport::{Client, Cluster, Meaning};

/// The users that have the trait, by the object ID in it.
pub(super) type UsersByPerson = BTreeMap<String, Vec<String>>;

/// Checks the port and its certificate, without the network.
pub(super) async fn port(settings: &ReviewSettings, results: &mut CheckResults) {
    let check = "port for reviews";
    let address = &settings.listen;
    match review_port(settings).await {
        Ok(()) if settings.tls.is_some() => {
            results.ok(check, format!("{address} is free, the certificate can be used"));
        }
        Ok(()) => results.ok(check, format!("{address} is free; a reverse proxy must terminate TLS")),
        Err(error) if error.is_in_use() => {
            let hint = hint!("Stop the daemon to check the port, or ignore this if the daemon uses it");
            results.warning(check, error.to_string(), Some(hint));
        }
        Err(error) => results.failed(check, error.to_string(), Some(error.hint())),
    }
}

/// Checks the keys that verify requests from Teams.
pub(super) async fn keys(settings: &Settings, results: &mut CheckResults) {
    let check = "keys of Teams";
    let microsoft = &settings.microsoft;
    let source = KeySource::new(&microsoft.endpoints.openid, &microsoft.proxies, &settings.limits);
    let fetched = match source {
        Ok(source) => source.fetch().await,
        Err(error) => Err(error),
    };
    match fetched {
        Ok(keys) => results.ok(check, format!("{} for Teams", counted(keys.usable(), "key"))),
        Err(error) => results.failed(check, error.to_string(), error.hint()),
    }
}

/// Checks the version of the cluster, the role, and the users. Returns the users that have the trait, if they can be listed.
pub(super) async fn cluster(
    client: &Client,
    cluster: &Cluster,
    settings: &ReviewSettings,
    results: &mut CheckResults,
) -> Option<UsersByPerson> {
    let check = "reviews in Teleport";
    if cluster.knows_delegated_reviews() {
        results.ok(check, "supported by the cluster");
    } else {
        let hint = hint!("Upgrade the cluster to 18.11 or newer, or set `[review] enabled` to false");
        let detail = format!("the cluster's version {} is older than 18.11", cluster.version);
        results.failed(check, detail, Some(hint));
    }
    role(client, results).await;
    let check = "users for reviews";
    let name = &settings.user_id_trait;
    match client.users_by_trait(name).await {
        Ok(users) => {
            let linked = counted(users.len(), "person");
            let linked = linked.replace("persons", "people");
            if users.is_empty() && !settings.allow_email_username_match {
                let hint = hint_with!("Set the trait {name} of each reviewer's user to the object ID in Entra ID");
                results.failed(check, format!("no user has the trait {name}"), Some(&hint));
            } else {
                results.ok(check, format!("{linked} found by the trait {name}"));
            }
            for (person, users) in users
                .iter()
                .filter(|(person, _)| person.chars().any(char::is_uppercase))
            {
                let hint = hint!("Write the object ID in lower case, because Teleport compares traits exactly");
                let detail = format!(
                    "{person} in the trait {name} of {} has capital letters",
                    users.join(", ")
                );
                results.failed(check, detail, Some(hint));
            }
            for (person, several) in users.iter().filter(|(_, users)| users.len() > 1) {
                let hint = hint_with!("Keep the object ID in the trait {name} of one user only");
                let detail = format!(
                    "{person} is in the traits of {}: {}",
                    counted(several.len(), "user"),
                    several.join(", ")
                );
                results.failed(check, detail, Some(&hint));
            }
            Some(users)
        }
        Err(error) => {
            results.failed(check, error.to_string(), error.hint());
            None
        }
    }
}

/// Checks that a role of the identity may submit reviews.
async fn role(client: &Client, results: &mut CheckResults) {
    let check = "permission to submit reviews";
    let mut users = Vec::new();
    for role in &client.keyring().newest().roles {
        match client.submit_for_users(role).await {
            Ok(named) => users.extend(named),
            Err(error) if matches!(error.meaning(), Meaning::Denied | Meaning::NotFound) => {
                results.skipped(check, format!("not verified: {error}"));
                return;
            }
            Err(error) => return results.failed(check, error.to_string(), error.hint()),
        }
    }
    if users.iter().any(|user| user == "*") {
        results.ok(check, "granted for every user");
    } else if users.is_empty() {
        let hint = hint!("Add review_requests.submit_for_users with the reviewers' users to the role");
        results.failed(check, "no role of the identity has submit_for_users", Some(hint));
    } else {
        results.ok(check, format!("granted for {}", counted(users.len(), "user")));
    }
}

/// Names the people among the recipients that no Teleport user is linked to, unless names count too.
pub(super) fn reviewers(
    people: &[(&Address, String)],
    users: &UsersByPerson,
    settings: &ReviewSettings,
    results: &mut CheckResults,
) {
    if settings.allow_email_username_match {
        return;
    }
    for (address, person) in people {
        if !users.contains_key(&person.to_ascii_lowercase()) {
            let name = &settings.user_id_trait;
            let hint = hint_with!("Set the trait {name} of their Teleport user to {person}");
            let detail = format!(
                "{} cannot review in Teams: no Teleport user is linked",
                address.as_str()
            );
            results.warning("reviewer", detail, Some(&hint));
        }
    }
}
