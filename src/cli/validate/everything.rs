//! Checks the whole set-up, one result per line.

use std::io::{IsTerminal as _, stdout};
use std::path::Path;

use anyhow::bail;
use futures_util::{StreamExt as _, stream};

use crate::cli::environment;
use crate::cli::report::Failed;
use crate::cli::validate::access_lists;
use crate::cli::validate::credential;
use crate::cli::validate::notifications::notifications;
use crate::cli::validate::permissions::{Uses, permissions};
use crate::cli::validate::recipients::{Failure, listed, post};
use crate::cli::validate::results::{CheckResults, counted};
use crate::cli::validate::reviews::{self, UsersByPerson};
use crate::cli::validate::rules::rules;
use crate::cli::validate::versions;
use crate::config;
use crate::config::{MicrosoftSettings, Settings, VALID_RECIPIENTS};
use crate::domain::card;
use crate::domain::recipients::Address;
use crate::msteams::{AppStatus, Priority, Teams};
use crate::teleport;
use crate::teleport::{Client, PluginDataKind, Watch};

/// Recipients at the same time; the calls themselves are paced to Microsoft's limits.
const CONCURRENCY: usize = 16;

/// The checks to run, and the output format.
pub(super) struct Wanted {
    pub(super) send: bool,
    pub(super) offline: bool,
    pub(super) json: bool,
    /// Recipients in addition to those of the configuration.
    pub(super) recipients: Vec<String>,
}

/// Runs the checks.
///
/// # Errors
/// At least one check failed.
pub(super) async fn check(file: &Path, wanted: Wanted) -> anyhow::Result<()> {
    let colours = stdout().is_terminal() && environment::wants_colours();
    let mut results = CheckResults::new(wanted.json, colours);
    let settings = configuration(file, &mut results)?;
    if let Some(notifications) = notifications(&settings) {
        results.ok("notifications", notifications);
    }
    let client = identity(&settings, &mut results).await;
    credential::configured(&settings.microsoft.credential, &mut results);
    if settings.review.enabled {
        reviews::port(&settings.review, &mut results).await;
    }
    let mut found = Found::default();
    if wanted.offline {
        results.skipped("network", "--offline: Teleport and Microsoft were not contacted");
    } else {
        match client {
            Some(client) => found = cluster(&client, &settings, &mut results).await,
            None => results.skipped("Teleport", "cannot be checked without an identity"),
        }
        microsoft(&settings, &wanted, &found, &mut results).await;
        if settings.review.enabled {
            reviews::keys(&settings, &mut results).await;
        }
    }
    results.finish();
    match results.failed {
        0 => Ok(()),
        failed => bail!(Failed(format!("{} failed", counted(failed, "check")))),
    }
}

fn configuration(file: &Path, results: &mut CheckResults) -> anyhow::Result<Settings> {
    let check = "configuration";
    match config::load(file, &environment::variable) {
        Ok(loaded) => {
            results.ok(check, format!("{} is valid", file.display()));
            for warning in loaded.warnings {
                results.warning(check, warning.what(), warning.hint());
            }
            Ok(loaded.settings)
        }
        Err(problems) => {
            for problem in &problems.list {
                results.failed(check, problem.what(), problem.hint());
            }
            for unknown in &problems.unknown {
                results.warning(check, unknown.what(), unknown.hint());
            }
            results.finish();
            Err(problems.into())
        }
    }
}

async fn identity(settings: &Settings, results: &mut CheckResults) -> Option<Client> {
    let check = "identity";
    match Client::new(&settings.teleport, &settings.limits).await {
        Ok(client) => {
            let identity = client.keyring().newest();
            let roles = identity.roles.join(", ");
            let detail = format!(
                "user {} (roles: {}), cluster {}, {}, valid until {}",
                identity.user,
                if roles.is_empty() { "none" } else { &roles },
                identity.cluster,
                counted(identity.authority_count(), "CA certificate"),
                identity.not_after
            );
            results.ok(check, detail);
            if identity.roles.is_empty() {
                results.warning(
                    check,
                    "the identity has no roles and can do nothing",
                    Some(hint!("Issue an identity of a user with a role")),
                );
            }
            Some(client)
        }
        Err(error) => {
            failed(results, check, &error);
            None
        }
    }
}

fn failed(results: &mut CheckResults, check: &str, error: &teleport::Error) {
    failed_for(results, check, error, "the role");
}

/// Records a failure; replaces "the role" in its hint with the name of the role.
pub(super) fn failed_for(results: &mut CheckResults, check: &str, error: &teleport::Error, role: &str) {
    let hint = error.hint().map(|hint| hint.replacen("the role", role, 1));
    results.failed(check, error.to_string(), hint.as_deref());
    for route in error.tried() {
        results.skipped(check, format!("tried {route}"));
    }
}

/// Returns the names of the identity's roles, for hints about permissions.
fn role(client: &Client) -> String {
    match client.keyring().newest().roles.as_slice() {
        [] => "the role".to_owned(),
        [one] => format!("the role {one}"),
        several => format!("one of the roles {}", several.join(", ")),
    }
}

/// What Teleport says about the recipients.
#[derive(Default)]
struct Found {
    by_rules: Vec<Address>,
    /// The users of people who may review in Teams, if that is enabled and they can be listed.
    users: Option<UsersByPerson>,
}

/// Checks the connection to Teleport and the permissions, and returns the recipients of the rules.
async fn cluster(client: &Client, settings: &Settings, results: &mut CheckResults) -> Found {
    let cluster = match client.ping().await {
        Ok(cluster) => {
            if let Some(route) = client.route() {
                results.ok("connection to Teleport", route.to_string());
            }
            results.ok("Teleport", format!("{} {}", cluster.name, cluster.version));
            if cluster.proxy_public_addr.is_empty() {
                let hint = hint!("Set public_addr in proxy_service of Teleport's configuration");
                results.warning(
                    "Teleport",
                    "the cluster has no public address: cards have no link",
                    Some(hint),
                );
            }
            cluster
        }
        Err(error) => {
            failed(results, "route to Teleport", &error);
            results.skipped("permissions in Teleport", "cannot be checked without a connection");
            return Found::default();
        }
    };
    let has_rules = permissions_in_teleport(client, results).await;
    if settings.notify.access_lists {
        access_lists::permission(client, &role(client), results).await;
    }
    let users = if settings.review.enabled {
        reviews::cluster(client, &cluster, &settings.review, results).await
    } else {
        None
    };
    Found {
        by_rules: rules(client, has_rules, results).await,
        users,
    }
}

/// Returns whether rules can be watched.
async fn permissions_in_teleport(client: &Client, results: &mut CheckResults) -> bool {
    let role = role(client);
    let check = "permission to watch requests";
    let mut has_rules = true;
    match Watch::open(client).await {
        Ok(watch) => {
            results.ok(check, "granted");
            has_rules = watch.denied().is_empty();
            for kind in watch.denied() {
                let hint = hint_with!("Grant {role} list and read on {kind}");
                results.warning(check, format!("{kind} is not granted"), Some(&hint));
            }
        }
        Err(error) => failed_for(results, check, &error, &role),
    }
    let check = "permission to list requests";
    let mut requests = 0_usize;
    match client.list_requests(|_| requests += 1).await {
        // Without the permission, Teleport returns an empty list, so only a visible request proves it.
        Ok(_) if requests == 0 => {
            let hint = hint_with!(
                "Create a request and run the check again, or check that {role} has list and read on access_request"
            );
            results.warning(check, "not verified: no Access Request is visible", Some(&hint));
        }
        Ok(_) => results.ok(check, format!("granted ({} visible)", counted(requests, "request"))),
        Err(error) => failed_for(results, check, &error, &role),
    }
    let check = "permission to read plugin data";
    match client.all_plugin_data(PluginDataKind::AccessRequest).await {
        Ok(data) => results.ok(
            check,
            format!("granted ({} with cards)", counted(data.len(), "request")),
        ),
        Err(error) => failed_for(results, check, &error, &role),
    }
    let check = "permission to write plugin data";
    match client.check_write_permission().await {
        Ok(()) => results.ok(check, "granted"),
        Err(error) => failed_for(results, check, &error, &role),
    }
    has_rules
}

async fn microsoft(settings: &Settings, wanted: &Wanted, found: &Found, results: &mut CheckResults) {
    let teams = match Teams::new(&settings.microsoft, &settings.limits) {
        Ok(teams) => teams,
        Err(error) => return results.failed("HTTPS", error.to_string(), error.hint()),
    };
    let mut addresses = settings.recipients();
    for address in &found.by_rules {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    for recipient in &wanted.recipients {
        match Address::parse(recipient) {
            Ok(address) => addresses.push(address),
            Err(reason) => {
                results.recipient(recipient, Err((&reason, Some(VALID_RECIPIENTS))));
            }
        }
    }
    let check = "token for Graph";
    match teams.granted_permissions().await {
        Ok(granted) => {
            results.ok(check, "granted");
            credential::accepted(&teams, results);
            credential::compare_app(&teams, &settings.microsoft.app_id, results).await;
            let escalation = settings.escalation.as_ref();
            let endpoints = &settings.microsoft.endpoints;
            let uses = Uses {
                addresses: &addresses,
                managers: escalation.is_some_and(|escalation| escalation.manager),
                presence: settings.notify.out_of_office,
                installations: endpoints.installations,
                upgrades: settings.microsoft.upgrade_app,
            };
            permissions(granted.as_deref(), uses, results);
            if let Some(limits) = endpoints.limits() {
                results.skipped("installations of the app", limits);
            }
        }
        Err(error) => {
            let MicrosoftSettings { app_id, tenant_id, .. } = &settings.microsoft;
            let detail = format!("{error}; app_id is {app_id}, tenant_id is {tenant_id}");
            results.failed(check, detail, error.hint());
            results.skipped("recipients", "cannot be looked up without a token");
            return;
        }
    }
    match teams.check_bot_token().await {
        Ok(()) => results.ok("token for the Bot connector", "granted"),
        Err(error) => results.failed("token for the Bot connector", error.to_string(), error.hint()),
    }
    let catalog = match teams.find_app().await {
        Ok(app) => {
            results.ok("app in the catalog", format!("{} ({})", app.name, app.id));
            versions::published(&teams, settings, results).await
        }
        Err(error) => {
            let detail = format!("{error}; teams_app_id is {}", settings.microsoft.teams_app_id);
            results.failed("app in the catalog", detail, error.hint());
            results.skipped("recipients", "cannot be notified without the app");
            return;
        }
    };
    let people = recipients(&teams, &addresses, &catalog, wanted.send, results).await;
    if let Some(users) = &found.users {
        reviews::reviewers(&people, users, &settings.review, results);
    }
    if !wanted.send {
        results.skipped(
            "Teams channel of the bot",
            "can only be checked by sending a message: add --send",
        );
    }
}

/// Checks each recipient, and returns the people among those that can be notified, with their object IDs.
async fn recipients<'a>(
    teams: &Teams,
    addresses: &'a [Address],
    catalog: &versions::Catalog,
    send: bool,
    results: &mut CheckResults,
) -> Vec<(&'a Address, String)> {
    let mut people = Vec::new();
    let mut checked = stream::iter(addresses)
        .map(|address| async move { (address, recipient(teams, address, send).await) })
        .buffered(CONCURRENCY);
    while let Some((address, found)) = checked.next().await {
        match found {
            Ok(Reachable {
                detail,
                person,
                version,
            }) => {
                results.recipient(address.as_str(), Ok(&detail));
                if let Some(version) = version {
                    versions::installed(address, &version, catalog, results);
                }
                people.extend(person.map(|person| (address, person)));
            }
            Err(Failure { what, hint }) => results.recipient(address.as_str(), Err((&what, hint.as_deref()))),
        }
    }
    if addresses.is_empty() {
        let hint = hint!("Add recipients to [role_to_recipients] or to Access Monitoring Rules");
        results.warning("recipient", "only suggested reviewers are notified", Some(hint));
    }
    people
}

/// A recipient that can be notified.
struct Reachable {
    detail: String,
    /// The object ID of a person.
    person: Option<String>,
    /// The version of the installed app, where Graph shows it.
    version: Option<String>,
}

async fn recipient(teams: &Teams, address: &Address, send: bool) -> Result<Reachable, Failure> {
    let reachable = |detail, person, version| Reachable {
        detail,
        person,
        version,
    };
    if let Some(group) = address.group() {
        let members = teams.members(group, &Priority::command()).await?;
        return Ok(reachable(listed(&members), None, None));
    }
    let user = teams.find_user(address).await?;
    let link = match address.named_channel() {
        Some(_) => teams.find_link(address).await?,
        None => None,
    };
    let link = link.map_or_else(String::new, |link| format!("; the link to write: {link}"));
    if send {
        let place = teams.find_place(address, user.as_deref()).await?;
        post(teams, address.as_str(), &place.conversation.id, &card::greeting()).await?;
        return Ok(reachable(format!("received a message{link}"), user, None));
    }
    let (found, version) = match teams.has_app(address, user.as_deref()).await? {
        AppStatus::Installed { version: Some(version) } => (format!("has the app, version {version}"), Some(version)),
        AppStatus::Installed { version: None } => ("has the app".to_owned(), None),
        AppStatus::Absent => ("does not have the app yet; the first card installs it".to_owned(), None),
        AppStatus::Unknown => (
            "whether the app is there can only be checked by sending a message: add --send".to_owned(),
            None,
        ),
    };
    Ok(reachable(format!("{found}{link}"), user, version))
}
