//! Reloads of the configuration.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use teleport_msteams::config::Settings;
use tokio::net::UnixDatagram;

use crate::process::hears;
use crate::support::{ALICE, BOB, Program, Town};
use crate::world::cluster::{Draft, Verdict};

const CAROL: &str = "carol@example.com";

fn dev() -> Draft {
    Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    }
}

#[tokio::test]
async fn the_next_request_goes_to_the_new_recipients_and_old_cards_stay_up_to_date() {
    let town = Town::start().await;
    let id = town.cluster.create(dev());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    let pending = town.cluster.create(dev());
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.settled(&pending).await;

    let found = town.load(&town.config_for(&format!("\"*\" = \"{BOB}\"")));
    town.daemon().reload(found).await;
    // New recipients get the pending requests, as after a restart; Alice keeps her card.
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&pending).await;
    let next = town.cluster.create(dev());
    town.sees(BOB, &["PENDING", "PENDING"]).await;
    town.settled(&next).await;
    town.cluster.review(&pending, "bob", Verdict::Deny, "no");
    town.sees(ALICE, &["APPROVED", "DENIED"]).await;
    town.sees(BOB, &["DENIED", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_pending_request_without_recipients_is_routed_again() {
    let mut town = Town::build().await;
    town.start_daemon_with(&town.config_for("\"*\" = []")).await;
    town.cluster.create(dev());
    town.daemon().says("No recipients to notify").await;
    let found = town.load(&town.config_for(&format!("\"*\" = \"{BOB}\"")));
    town.daemon().reload(found).await;
    town.sees(BOB, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_burst_during_repeated_reloads_loses_nothing_and_notifies_no_recipient_twice() {
    let town = Town::start().await;
    let mut ids = Vec::new();
    for round in 0..4 {
        for _ in 0..3 {
            ids.push(town.cluster.create(dev()));
        }
        let recipients = if round % 2 == 0 { CAROL } else { BOB };
        let found = town.load(&town.config_for(&format!("\"*\" = [\"{ALICE}\", \"{recipients}\"]")));
        town.daemon().reload(found).await;
    }
    town.sees(ALICE, &["PENDING"; 12]).await;
    // Each of the two was among the recipients while all but the last requests were pending, and Bob still is.
    town.sees(BOB, &["PENDING"; 12]).await;
    for id in &ids {
        town.settled(id).await;
        town.cluster.review(id, "alice", Verdict::Approve, "ok");
    }
    town.sees(ALICE, &["APPROVED"; 12]).await;
    town.sees(BOB, &["APPROVED"; 12]).await;
    for id in &ids {
        town.settled(id).await;
    }
    let carol = town.chat(CAROL).len();
    assert!(carol <= 12, "{carol}");
    town.sees_after(CAROL, &["PENDING"], &vec!["APPROVED"; carol]).await;
    town.finish().await;
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_each_problem_is_one_line() {
    let town = Town::start().await;
    let wrong = town.config_for(&format!("dba = \"{BOB}\"\nops = 7\n[log]\nseverity = \"loud\""));
    town.daemon().reload(town.load(&wrong)).await;
    let log = town.daemon().log();
    for part in [
        r#"role_to_recipients.\"*\": missing"#,
        r#"role_to_recipients.\"ops\": expected recipients, got the number 7"#,
        r#"log.severity: \"loud\" is not a severity"#,
    ] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(part)).collect();
        assert!(lines.len() == 1 && lines[0].contains("ERROR"), "{part}\n{log}");
    }
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.daemon().reload(town.load(&town.config())).await;
    town.finish().await;
}

#[tokio::test]
async fn settings_that_require_a_restart_are_named_and_the_rest_is_applied() {
    let town = Town::start().await;
    let options = town.tenant.options();
    let config = town.config_for(&format!("\"*\" = \"{BOB}\""));
    let changed = format!("diag_addr = \":0\"\n{config}")
        .replace(&town.cluster.address(), "teleport.example.com:443")
        .replace("/identity\"", "/other\"\nrefresh_identity_interval = \"5m\"")
        .replace(&options.app_id, "other-app")
        .replace(&options.tenant_id, "other-tenant")
        .replace(&options.teams_app_id, "other-teams-app")
        .replace(
            "[msapi.endpoints]",
            "[msapi.endpoints]\nbot = \"https://bot.example.com\"",
        )
        .replace(&format!("bot = \"{}\"", town.tenant.bot()), "");
    town.daemon().reload(town.load(&changed)).await;
    for key in [
        "diag_addr",
        "teleport.addr",
        "teleport.identity",
        "teleport.refresh_identity or refresh_identity_interval",
        "msapi.app_id",
        "msapi.tenant_id",
        "msapi.teams_app_id",
        "msapi.cloud, region or endpoints",
    ] {
        let line = format!("the change takes effect after a restart key={key:?}");
        town.daemon().says(&line).await;
    }
    assert!(town.daemon().log().contains("changed=\"role_to_recipients\""));
    town.cluster.create(Draft::default());
    town.sees(BOB, &["PENDING"]).await;
    // A setting that is the same as at the start is not logged.
    town.daemon().reload(town.load(&config)).await;
    let log = town.daemon().log();
    assert_eq!(log.matches("takes effect after a restart").count(), 8, "{log}");
    town.finish().await;
}

#[tokio::test]
async fn new_recipients_are_looked_up_once_the_file_asks_for_it() {
    let town = Town::start().await;
    let config = format!("preload = true\n{}", town.config_for(&format!("\"*\" = \"{ALICE}\"")));
    town.daemon().reload(town.load(&config)).await;
    town.daemon().says("Recipient data preloaded and cached.").await;
    assert_eq!(town.daemon().log().matches("Recipient found").count(), 1);
    let mut changes = town.tenant.changes();
    // She is a recipient of escalations only.
    let escalation = format!("[escalation]\nafter = \"1h\"\nrole_to_recipients = {{ \"*\" = \"{CAROL}\" }}");
    town.daemon()
        .reload(town.load(&format!("{config}\n{escalation}")))
        .await;
    // She does not have the app yet.
    let installed = async {
        while town.tenant.standing(&town.people["Carol"]) != "ok" {
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), installed).await;
    assert!(waited.is_ok(), "the app was not installed for Carol");
    town.finish().await;
}

#[tokio::test]
async fn further_notifications_are_turned_on_and_off_and_the_changed_keys_are_logged() {
    let town = Town::start().await;
    let requester = Draft {
        user: "eve@example.com".to_owned(),
        ..dev()
    };
    let first = town.cluster.create(requester.clone());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&first).await;
    town.cluster.review(&first, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.settled(&first).await;

    let escalation = format!("[escalation]\nafter = \"1ms\"\nrole_to_recipients = {{ \"*\" = \"{BOB}\" }}");
    let on = format!(
        "{}\n[notify]\nrequester = true\n{escalation}\n[digest]\nabove = 100",
        town.config()
    );
    town.daemon().reload(town.load(&on)).await;
    town.daemon().says("changed=\"notify, escalation, digest\"").await;
    let second = town.cluster.create(requester.clone());
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.sees("eve@example.com", &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&second).await;

    town.daemon().reload(town.load(&town.config())).await;
    town.daemon()
        .says_times(2, "changed=\"notify, escalation, digest\"")
        .await;
    let third = town.cluster.create(requester);
    town.sees(ALICE, &["APPROVED", "PENDING", "PENDING"]).await;
    town.settled(&third).await;
    // The cards that exist stay up to date, and there are no new ones.
    town.cluster.review(&second, "alice", Verdict::Deny, "no");
    town.sees(ALICE, &["APPROVED", "DENIED", "PENDING"]).await;
    town.sees(BOB, &["DENIED"]).await;
    town.sees("eve@example.com", &["DENIED"]).await;
    town.settled(&second).await;
    town.finish().await;
}

/// Writes the secret into a file that the configuration names.
fn with_secret_file(town: &Town, secret: &str) -> String {
    let file = town.folder.path().join("secret");
    fs::write(&file, format!("{secret}\n")).unwrap();
    let quoted = |text: &str| format!("app_secret = \"{text}\"");
    let config = town.config();
    let with_file = config.replace(
        &quoted(&town.tenant.options().app_secret),
        &quoted(file.to_str().unwrap()),
    );
    assert_ne!(config, with_file);
    with_file
}

/// No deferred delivery is retried by its timer during a test.
fn patient(mut settings: Settings) -> Settings {
    settings.limits.again_first_pause = Duration::from_mins(10);
    settings.limits.again_longest_pause = Duration::from_mins(10);
    settings
}

#[tokio::test]
async fn a_secret_replaced_in_its_file_delivers_deferred_cards_once() {
    let mut town = Town::build().await;
    let old = town.tenant.options().app_secret.clone();
    let config = with_secret_file(&town, &old);
    town.start_daemon_on(patient(town.settings(&config))).await;
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;

    town.tenant.set_secret("another~plantedsecret");
    town.tenant.revoke_tokens();
    let waiting = [
        town.cluster.create(Draft::default()),
        town.cluster.create(Draft::default()),
    ];
    for id in &waiting {
        town.daemon()
            .says(&format!("Delivery failed, will retry request.id={id}"))
            .await;
        town.settled(id).await;
    }
    town.daemon().says("AADSTS7000215").await;
    // The file is removed before the new one is there.
    fs::remove_file(town.folder.path().join("secret")).unwrap();
    town.daemon().says("Could not read the client secret").await;
    with_secret_file(&town, "another~plantedsecret");
    town.daemon().says("Client secret replaced, Microsoft accepts it").await;
    town.sees(ALICE, &["PENDING"; 3]).await;
    town.sees(BOB, &["PENDING"; 3]).await;
    for id in &waiting {
        town.settled(id).await;
        town.cluster.review(id, "alice", Verdict::Approve, "ok");
    }
    town.sees(ALICE, &["PENDING", "APPROVED", "APPROVED"]).await;
    town.sees(BOB, &["PENDING", "APPROVED", "APPROVED"]).await;
    let log = town.daemon().log();
    assert_eq!(log.matches("Could not read the client secret").count(), 1, "{log}");
    assert!(!log.contains(&old) && !log.contains("another~plantedsecret"), "{log}");
    town.finish().await;
}

#[tokio::test]
async fn a_wrong_secret_in_the_configuration_is_reported_while_the_old_tokens_still_work() {
    let town = Town::start().await;
    let config = town.config();
    let wrong = config.replace(&town.tenant.options().app_secret, "wrong");
    town.daemon().reload(town.load(&wrong)).await;
    town.daemon()
        .says("Client secret replaced, but Microsoft has issued no token for it yet")
        .await;
    town.daemon()
        .says("the client secret is wrong (401, AADSTS7000215)")
        .await;
    town.cluster.create(dev());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon().reload(town.load(&config)).await;
    town.daemon().says("Client secret replaced, Microsoft accepts it").await;
    town.tenant.revoke_tokens();
    town.cluster.create(dev());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_reload_changes_the_logs_output_format_and_severity_and_notifies_the_service_manager() {
    let town = Town::build().await;
    let path = |name: &str| town.folder.path().join(name);
    let text = |name: &str| fs::read_to_string(path(name)).unwrap();
    let manager = UnixDatagram::bind(path("notify")).unwrap();
    let config = |log: &str| fs::write(path("config.toml"), format!("{}\n[log]\n{log}\n", town.config())).unwrap();
    config(&format!("output = {:?}", path("first")));
    let running = Program::new(&["start", "--config", path("config.toml").to_str().unwrap()])
        .env("NOTIFY_SOCKET", path("notify"))
        .start();
    hears(&manager, "READY=1").await;

    config(&format!(
        "output = {:?}\nformat = \"json\"\nseverity = \"debug\"",
        path("second")
    ));
    running.signal("-HUP").await;
    let reloading = hears(&manager, "RELOADING=1").await;
    let since: u64 = reloading
        .split("MONOTONIC_USEC=")
        .nth(1)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(since > 0);
    hears(&manager, "READY=1").await;
    town.cluster.create(dev());
    town.sees(ALICE, &["PENDING"]).await;

    // A log that cannot be written makes the configuration invalid; none of it is applied.
    config(&format!("output = {:?}", path("no/such/folder/log")));
    running.signal("-HUP").await;
    hears(&manager, "RELOADING=1").await;
    hears(&manager, "READY=1").await;
    config(&format!("output = {:?}\nseverity = \"warn\"", path("third")));
    running.signal("-HUP").await;
    hears(&manager, "RELOADING=1").await;
    hears(&manager, "READY=1").await;
    running.signal("-TERM").await;
    assert_eq!(running.status().await, Some(0));

    let first = text("first");
    assert!(
        first.contains("Plugin is ready") && !first.contains("Configuration reloaded"),
        "{first}"
    );
    let second = text("second");
    let lines: Vec<Value> = second.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |level: &str, part: &str| {
        let mut lines = lines.iter();
        lines.any(|line| line["level"] == level && line["message"].as_str().unwrap().contains(part))
    };
    assert!(has("INFO", "Configuration reloaded"), "{second}");
    assert!(has("DEBUG", "Access Request routed"), "{second}");
    assert!(
        has("ERROR", "Configuration not reloaded, keeping the previous one"),
        "{second}"
    );
    let refused = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("could not open the log file"),
        "{second}"
    );
    // The lines about the last reload and the end are below that severity.
    assert_eq!(text("third"), "");
    let secret = &town.tenant.options().app_secret;
    assert!(!first.contains(secret) && !second.contains(secret));
}
