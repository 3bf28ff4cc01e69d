//! Versions of installed apps: upgraded if the configuration asks for it, and shown by `validate`.

use std::fs;

use crate::clouds::{in_cloud, town_in};
use crate::process::run;
use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::{ClusterOptions, Draft};
use crate::world::tenant::{Cloud, Fault, Rule, TenantOptions};

const UPGRADED: &str = "Installed app upgraded";

/// Returns a configuration with these recipients of every role, and the opt-in.
fn config_for(town: &Town, recipients: &[&str]) -> String {
    let config = town.config_for(&format!("\"*\" = {recipients:?}"));
    config.replace("[msapi]", "[msapi]\nupgrade_app = true")
}

/// Returns the paths of the calls that upgraded the app.
fn upgrades(town: &Town) -> Vec<String> {
    let calls = town.tenant.calls().into_iter();
    let calls = calls.filter(|call| call.method == "POST" && call.path.ends_with("/upgrade"));
    calls.map(|call| call.path).collect()
}

/// Runs `validate --all`, and returns the output.
async fn validate(town: &Town, config: &str) -> String {
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, config).unwrap();
    run(&["validate", "--all", "-c", file.to_str().unwrap()]).await.1
}

#[tokio::test]
async fn older_installations_are_upgraded_once() {
    let mut town = Town::build().await;
    town.tenant.publish("1.2.0");
    let channel = town.channel.clone();
    town.start_daemon_with(&config_for(&town, &[ALICE, &channel])).await;
    for words in [&["PENDING"][..], &["PENDING", "PENDING"]] {
        let id = town.cluster.create(Draft::default());
        town.sees(ALICE, words).await;
        town.sees(&channel, words).await;
        town.settled(&id).await;
        town.daemon().says_times(2, UPGRADED).await;
    }
    assert_eq!(town.tenant.version_of(&town.people["Alice"]), "1.2.0");
    assert_eq!(town.tenant.version_in("Security"), "1.2.0");
    assert_eq!(upgrades(&town).len(), 2);
    let log = town.daemon().log();
    assert!(log.contains("from=\"1.1.3\" to=\"1.2.0\""), "{log}");
    town.finish().await;
}

#[tokio::test]
async fn nothing_is_upgraded_without_the_opt_in() {
    let mut town = Town::build().await;
    town.tenant.publish("1.2.0");
    let channel = town.channel.clone();
    let config = config_for(&town, &[ALICE, &channel]).replace("upgrade_app = true", "upgrade_app = false");
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(&channel, &["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(upgrades(&town), Vec::<String>::new());
    town.finish().await;
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
    let id = town.cluster.create(Draft::default());
    for place in [ALICE, BOB, &channel] {
        town.sees(place, &["PENDING"]).await;
    }
    town.settled(&id).await;
    town.daemon().says_times(3, "Could not upgrade the installed app").await;
    assert_eq!(town.daemon().warnings("Could not upgrade the installed app"), 1);
    town.finish().await;
}

#[tokio::test]
async fn only_installations_in_teams_are_upgraded_where_graph_cannot_read_others() {
    let mut town = town_in(Cloud::GccHigh).await;
    town.tenant.publish("1.2.0");
    let channel = town.channel.clone();
    let config = in_cloud(&config_for(&town, &[ALICE, &channel]), Cloud::GccHigh);
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(&channel, &["PENDING"]).await;
    town.settled(&id).await;
    town.daemon().says(UPGRADED).await;
    assert!(upgrades(&town).iter().all(|path| path.contains("/teams/")));
    town.finish().await;
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
