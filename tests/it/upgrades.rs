//! Versions of installed apps: upgraded if the configuration asks for it, and shown by `validate`.

use crate::clouds::{in_cloud, town_in};
use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::{ClusterOptions, Draft};
use crate::world::tenant::{Cloud, Fault, Rule, Tenant, TenantOptions};

const UPGRADED: &str = "Installed app upgraded";

/// Returns a configuration with these recipients of every role, and the opt-in.
fn config_for(town: &Town, recipients: &[&str]) -> String {
    let config = town.config_for(&format!("\"*\" = {recipients:?}"));
    config.replace("[msapi]", "[msapi]\nupgrade_app = true")
}

/// Returns the paths of the calls that upgraded the app.
fn upgrades(tenant: &Tenant) -> Vec<String> {
    let calls = tenant.calls().into_iter();
    let calls = calls.filter(|call| call.method == "POST" && call.path.ends_with("/upgrade"));
    calls.map(|call| call.path).collect()
}

/// Returns how often Graph was asked for the installation for a person.
fn look_ups(town: &Town, name: &str) -> usize {
    let path = format!("/users/{}/teamwork/installedApps", town.people[name].id);
    let calls = town.tenant.calls().into_iter();
    calls
        .filter(|call| call.method == "GET" && call.path.ends_with(&path))
        .count()
}

/// Returns a request with Bob as another recipient.
fn for_bob() -> Draft {
    Draft {
        suggested_reviewers: vec![BOB.to_owned()],
        ..Draft::default()
    }
}

/// Creates a request, and waits for its first cards.
async fn announced(town: &Town, recipients: &[&str]) {
    let id = town.cluster.create(Draft::default());
    for recipient in recipients {
        town.sees(recipient, &["PENDING"]).await;
    }
    town.settled(&id).await;
}

/// Runs `validate --all`, and returns the output.
async fn validate(town: &Town, config: &str) -> String {
    town.run(config, &["validate", "--all"]).await.1
}

#[tokio::test]
async fn older_installations_are_upgraded_once() {
    let mut town = Town::build().await;
    town.tenant.publish("1.2.0");
    let channel = town.channel.clone();
    town.start_daemon_with(&config_for(&town, &[ALICE, &channel])).await;
    announced(&town, &[ALICE, &channel]).await;
    town.daemon().says_times(2, UPGRADED).await;
    let before = look_ups(&town, "Alice");

    // Alice is looked up again, first of all whether she has the app. Bob is compared with the catalog after her.
    let chat = town
        .tenant
        .calls()
        .into_iter()
        .find(|call| call.path.contains("/conversations/a%3A"));
    let chat = chat.expect("a card in the chat with Alice").path;
    let rule = Rule::some(1, "POST", &chat, Fault::Error(403, "BotNotInConversationRoster"));
    town.tenant.faults(|faults| faults.rules.push(rule));
    for (draft, words) in [
        (Draft::default(), &["PENDING", "PENDING"][..]),
        (for_bob(), &["PENDING", "PENDING", "PENDING"]),
    ] {
        let id = town.cluster.create(draft);
        town.sees(ALICE, words).await;
        town.sees(&channel, words).await;
        town.settled(&id).await;
    }
    town.sees(BOB, &["PENDING"]).await;
    town.daemon().says_times(3, UPGRADED).await;
    assert_eq!(look_ups(&town, "Alice"), before + 1);
    for person in ["Alice", "Bob"] {
        assert_eq!(town.tenant.version_of(&town.people[person]), "1.2.0");
    }
    assert_eq!(town.tenant.version_in("Security"), "1.2.0");
    let log = town.daemon().log();
    assert!(log.contains("from=\"1.1.3\" to=\"1.2.0\""), "{log}");
    let tenant = town.tenant.clone();
    town.finish().await;
    assert_eq!(upgrades(&tenant).len(), 3);
}

#[tokio::test]
async fn nothing_is_upgraded_without_the_opt_in() {
    let mut town = Town::build().await;
    town.tenant.publish("1.2.0");
    let channel = town.channel.clone();
    let config = config_for(&town, &[ALICE, &channel]).replace("upgrade_app = true", "upgrade_app = false");
    town.start_daemon_with(&config).await;
    announced(&town, &[ALICE, &channel]).await;
    let tenant = town.tenant.clone();
    town.finish().await;
    assert_eq!(upgrades(&tenant), Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_upgrade_is_one_warning_and_delays_no_card() {
    let mut town = Town::build().await;
    town.tenant.publish("1.2.0");
    let rule = Rule::every("POST", "/upgrade", Fault::Error(403, "Forbidden"));
    town.tenant.faults(|faults| faults.rules.push(rule));
    let channel = town.channel.clone();
    town.start_daemon_with(&config_for(&town, &[ALICE, BOB, &channel]))
        .await;
    announced(&town, &[ALICE, BOB, &channel]).await;
    town.daemon().says_times(3, "Could not upgrade the installed app").await;
    assert_eq!(town.daemon().warnings("Could not upgrade the installed app"), 1);
    town.finish().await;
}

#[tokio::test]
async fn an_upgrade_that_failed_in_an_outage_is_tried_again() {
    let mut town = Town::build().await;
    town.tenant.publish("1.2.0");
    let rule = Rule::every("POST", "/upgrade", Fault::Error(503, "ServiceUnavailable"));
    town.tenant.faults(|faults| faults.rules.push(rule));
    let channel = town.channel.clone();
    town.start_daemon_with(&config_for(&town, &[ALICE, &channel])).await;
    announced(&town, &[ALICE, &channel]).await;
    town.expects_warnings(&["Service fails, retrying service=\"Microsoft Graph\""]);
    town.daemon().says("Could not upgrade the installed app").await;
    town.tenant.faults(|faults| faults.rules.clear());
    town.daemon().says_times(2, UPGRADED).await;
    assert_eq!(town.tenant.version_of(&town.people["Alice"]), "1.2.0");
    assert_eq!(town.tenant.version_in("Security"), "1.2.0");
    town.finish().await;
}

#[tokio::test]
async fn only_installations_in_teams_are_upgraded_where_graph_cannot_read_others() {
    let mut town = town_in(Cloud::GccHigh).await;
    town.tenant.publish("1.2.0");
    let channel = town.channel.clone();
    let config = in_cloud(&config_for(&town, &[ALICE, &channel]), Cloud::GccHigh);
    town.start_daemon_with(&config).await;
    announced(&town, &[ALICE, &channel]).await;
    town.daemon().says(UPGRADED).await;
    let tenant = town.tenant.clone();
    town.finish().await;
    let upgrades = upgrades(&tenant);
    assert!(
        matches!(&upgrades[..], [path] if path.contains("/teams/")),
        "{upgrades:?}"
    );
}

#[tokio::test]
async fn validate_shows_the_version_of_each_installation_and_names_the_go_plugins_package() {
    let options = TenantOptions {
        version: "1.0.0".to_owned(),
        ..TenantOptions::default()
    };
    let town = Town::build_with(ClusterOptions::default(), options).await;
    let config = config_for(&town, &[ALICE, &town.channel]);
    let silent = format!("{ALICE} has 1.0.0, the package of the Go plugin, which lacks the scope for people");
    let shown = validate(&town, &config).await;
    for part in [
        &format!("{ALICE}: has the app, version 1.0.0"),
        &silent,
        "Run `configure --force` and upload app.zip as an update of the app, then restart the daemon",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    town.tenant.publish("1.1.3");
    let shown = validate(&town, &config).await;
    for part in [
        &silent,
        &format!("{} has 1.0.0, the catalog has 1.1.3", town.channel),
        "Restart the daemon, which upgrades the app after the next card",
        "TeamsAppInstallation.ReadWriteSelfForTeam.All, to upgrade the app in teams",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("Set `[msapi] upgrade_app`"), "{shown}");
    let shown = validate(&town, &config.replace("upgrade_app = true", "upgrade_app = false")).await;
    let hint = "Set `[msapi] upgrade_app` to true and restart the daemon, or update the app in Teams";
    assert!(shown.contains(hint), "{shown}");
    assert!(!shown.contains("Restart the daemon, which"), "{shown}");
}
