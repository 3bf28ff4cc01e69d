//! `validate`: its checks and their output.

use std::fs;

use serde_json::Value;

use crate::process::run;
use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::{ClusterOptions, Draft, rule};
use crate::world::identity::Validity;
use crate::world::tenant::{Fault, Rule, TenantOptions};

/// Runs the command with a town's configuration.
async fn validate(town: &Town, arguments: &[&str]) -> (Option<i32>, String, String) {
    validate_with(town, &town.config(), arguments).await
}

async fn validate_with(town: &Town, config: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    town.run(config, &[&["validate"], arguments].concat()).await
}

/// Replaces everything that differs between runs with names.
fn tidy(town: &Town, text: &str) -> String {
    let mut text = text.replace(town.folder.path().to_str().unwrap(), "FOLDER");
    for (name, user) in &town.people {
        text = text.replace(&user.id, &format!("<id of {name}>"));
    }
    for (from, to) in [
        (town.tenant.options().app_id.as_str(), "<app id>"),
        (town.channel.as_str(), "<link of the channel>"),
        (&town.cluster.address(), "<address>"),
    ] {
        text = text.replace(from, to);
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        for start in [
            "teleport-msteams v",
            " - Application installation ID for ",
            " - Message sent, ID: ",
        ] {
            if line.starts_with(start) {
                let kept = line.find(": ").map_or(start.len(), |at| at + 2);
                line.truncate(kept.max(start.len()));
                line.push('…');
            }
        }
        if let (Some(from), Some(to)) = (line.find("19:"), line.find("@thread")) {
            line.replace_range(from + 3..to, "…");
        }
        if let Some(at) = line.find("valid until ") {
            line.truncate(at);
        }
    }
    lines.join("\n")
}

/// Counts the messages of a recipient.
fn cards(town: &Town, who: &str) -> usize {
    town.chat(who).len()
}

#[tokio::test]
async fn a_recipient_is_notified_in_the_words_of_the_guide() {
    let town = Town::build().await;
    let (status, stdout, stderr) = validate(&town, &[ALICE]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("validate", tidy(&town, &stdout));
    assert_eq!(cards(&town, ALICE), 2);
    assert!(town.cluster.state().hellos.is_empty(), "only Microsoft is contacted");
    // The second message is an example request.
    let chat = town.chat(ALICE);
    let request = chat[1].history[0].to_string();
    for part in [
        "Example request posted by 'validate' command.",
        "local-cluster",
        "bar",
        "Not good",
        "Pending",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
}

#[tokio::test]
async fn a_channel_and_a_user_without_the_app_are_notified_and_many_recipients_keep_their_order() {
    let town = Town::build().await;
    let channel = town.channel.clone();
    let arguments = ["carol@example.com", channel.as_str(), "nobody@example.com", "devs", BOB];
    let (status, stdout, stderr) = validate(&town, &arguments).await;
    assert_eq!(status, Some(1));
    assert_eq!(stderr, "ERROR: could not notify 2 of 5 recipients\n");
    insta::assert_snapshot!("validate_many", tidy(&town, &stdout));
    for who in ["carol@example.com", channel.as_str(), BOB] {
        assert_eq!(cards(&town, who), 2, "{who}");
    }
}

#[tokio::test]
async fn a_missing_app_or_a_wrong_secret_ends_validation() {
    let absent = TenantOptions {
        in_catalog: false,
        ..TenantOptions::default()
    };
    let town = Town::build_with(ClusterOptions::default(), absent).await;
    let (status, _, stderr) = validate(&town, &[ALICE]).await;
    assert_eq!(status, Some(1));
    assert!(
        stderr.contains("the app is not in the organization's catalog"),
        "{stderr}"
    );
    assert!(stderr.contains("hint: Upload app.zip"), "{stderr}");
    let secret = &town.tenant.options().app_secret;
    let wrong = town.config().replace(secret.as_str(), "wrong");
    let (status, _, stderr) = validate_with(&town, &wrong, &[ALICE]).await;
    assert_eq!(status, Some(1));
    assert!(
        stderr.contains("AADSTS7000215") && !stderr.contains("wrong\n"),
        "{stderr}"
    );
    let (status, _, stderr) = validate_with(&town, "[teleport]\n", &[ALICE]).await;
    assert_eq!(status, Some(78));
    assert!(stderr.contains("msapi.app_id: missing"), "{stderr}");
    assert_eq!(run(&["validate"]).await.0, Some(2));
}

#[tokio::test]
async fn a_lock_on_the_user_is_named() {
    let town = Town::build().await;
    town.cluster.faults(|faults| faults.user_locked = true);
    let (status, stdout, stderr) = validate(&town, &["--all"]).await;
    assert_eq!(status, Some(1), "{stdout}{stderr}");
    for part in ["lock targeting User is in force", "tctl get locks"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert!(!stdout.contains("Grant the role"), "{stdout}");
}

#[tokio::test]
async fn every_check_prints_one_line() {
    let town = Town::build().await;
    let recipients = format!("\"*\" = [\"{ALICE}\", \"carol@example.com\", \"{}\"]", town.channel);
    let config = town.config_for(&recipients);
    let (status, stdout, stderr) = validate_with(&town, &config, &["--all"]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("validate_all", tidy(&town, &stdout));
    for who in [ALICE, "carol@example.com", town.channel.as_str()] {
        assert_eq!(cards(&town, who), 0, "{who}");
    }
    let installs = town
        .tenant
        .calls()
        .into_iter()
        .filter(|call| call.method == "POST" && call.path.contains("installedApps"));
    assert_eq!(installs.count(), 0, "the app is installed for no user");

    // The arguments of older scripts keep their meaning.
    let (old_status, old, _) = validate_with(&town, &config, &["--all", "--no-message"]).await;
    assert_eq!((old_status, tidy(&town, &old)), (status, tidy(&town, &stdout)));
    assert_eq!(cards(&town, ALICE), 0);
    let (status, ..) = validate_with(&town, &config, &["--all", "--no-message", "--send"]).await;
    assert_eq!(status, Some(2));

    let (status, stdout, _) = validate_with(&town, &config, &["--all", "--send"]).await;
    assert_eq!(status, Some(0));
    assert!(stdout.contains("carol@example.com: received a message"), "{stdout}");
    assert!(stdout.ends_with("\nNo errors, 1 warning.\n"), "{stdout}");
    for who in [ALICE, "carol@example.com", town.channel.as_str()] {
        assert_eq!(cards(&town, who), 1, "{who}");
    }
}

#[tokio::test]
async fn a_failed_check_shows_its_hint_and_does_not_hide_the_rest() {
    let options = TenantOptions {
        version: "1.0.0".to_owned(),
        roles: vec!["User.ReadWrite.All", "AppCatalog.Read.All", "Sites.FullControl.All"],
        ..TenantOptions::default()
    };
    let town = Town::build_with(ClusterOptions::default(), options).await;
    town.cluster.faults(|faults| {
        faults.deny_kinds = vec!["access_monitoring_rule"];
        faults.deny_plugin_data = true;
    });
    let config = town.config_for("\"*\" = [\"nobody@example.com\"]\nodd = \"devs\"");
    let (status, stdout, stderr) = validate_with(&town, &config, &["--all"]).await;
    assert_eq!(status, Some(1));
    assert_eq!(stderr, "ERROR: 4 checks failed\n");
    insta::assert_snapshot!("validate_all_wrong", tidy(&town, &stdout));
}

#[tokio::test]
async fn further_notifications_are_summarized_and_their_recipients_are_checked() {
    let town = Town::build().await;
    let further = format!(
        r#"
        [notify]
        requester = true
        remind_after = ["1h", "4h"]
        remind_before_expiry = "30m"
        grace = "10s"
        [escalation]
        after = "2h"
        [escalation.role_to_recipients]
        "*" = ["carol@example.com", "nobody@example.com", "{ALICE}"]
        dba = "{}"
        [digest]
        above = 10
        "#,
        town.channel
    );
    let config = format!("{}\n{further}", town.config());
    let (status, stdout, _) = validate_with(&town, &config, &["--all"]).await;
    assert_eq!(status, Some(1), "{stdout}");
    let summary = "notifications: requester; reminders after 1h, 4h; reminder 30m before a request expires; \
        escalation after 2h to 4 recipients; digest above 10 cards; grace 10s\n";
    for part in [
        summary,
        "recipient: carol@example.com: does not have the app yet",
        "FAILED  recipient: nobody@example.com: ",
        &format!("recipient: {}: has the app", town.channel),
    ] {
        assert!(stdout.contains(part), "{part} is not in {stdout}");
    }
    let checks = stdout.matches(&format!("recipient: {ALICE}: ")).count();
    assert_eq!(checks, 1, "a recipient of both tables is checked once: {stdout}");
}

/// Returns a configuration with reviews, and recipients that are people with and without a Teleport user.
fn with_reviews(town: &Town) -> String {
    let recipients = format!("\"*\" = [\"{ALICE}\", \"carol@example.com\", \"{}\"]", town.channel);
    let review = "[review]\nenabled = true\nlisten = \"127.0.0.1:0\"";
    format!("{}\n{review}", town.config_for(&recipients))
}

#[tokio::test]
async fn with_reviews_the_check_covers_what_they_need() {
    let options = TenantOptions {
        version: "1.2.0".to_owned(),
        ..TenantOptions::default()
    };
    let town = Town::build_with(ClusterOptions::default(), options).await;
    for (user, person) in [("alice", "Alice"), ("carol", "Carol")] {
        let id = &town.people[person].id;
        town.cluster.set_traits(user, false, &[("teams_user_id", &[id])]);
    }
    let (status, stdout, _) = validate_with(&town, &with_reviews(&town), &["--all"]).await;
    assert_eq!(status, Some(0), "{stdout}");
    insta::assert_snapshot!("validate_all_reviews", tidy(&town, &stdout));
    // What cannot be verified is no failure.
    town.cluster.faults(|faults| faults.deny_roles = true);
    let (status, stdout, _) = validate_with(&town, &with_reviews(&town), &["--all"]).await;
    assert_eq!(status, Some(0), "{stdout}");
    assert!(
        stdout.contains("skipped  permission to submit reviews: not verified"),
        "{stdout}"
    );
}

#[tokio::test]
async fn each_mistake_of_a_set_up_for_reviews_is_one_line_with_its_hint() {
    let town = Town::build().await;
    let (alice, bob) = (&town.people["Alice"].id, &town.people["Bob"].id);
    town.cluster.set_version("18.10.2");
    town.cluster.set_submit_for_users(&[]);
    town.cluster.set_traits("alice", false, &[("teams_user_id", &[alice])]);
    town.cluster.set_traits("alice2", false, &[("teams_user_id", &[alice])]);
    town.cluster
        .set_traits("bob", false, &[("teams_user_id", &[&bob.to_uppercase()])]);
    let down = Rule::every("GET", "/openid/", Fault::Status(404, None));
    town.tenant.faults(|faults| faults.rules.push(down));
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = with_reviews(&town).replace("\"127.0.0.1:0\"", &format!("\"127.0.0.1:{port}\""));
    let (status, stdout, _) = validate_with(&town, &config, &["--all"]).await;
    assert_eq!(status, Some(1));
    let text = tidy(&town, &stdout).replace(&port.to_string(), "PORT");
    insta::assert_snapshot!(
        "validate_all_reviews_wrong",
        text.replace(&bob.to_uppercase(), "<ID OF BOB>")
    );
}

#[tokio::test]
async fn machines_read_one_object_for_each_line() {
    let town = Town::build().await;
    let (status, stdout, _) = validate(&town, &["--all", "--offline", "--json"]).await;
    assert_eq!(status, Some(0));
    let found: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<_> = found
        .iter()
        .map(|found| (found["check"].as_str().unwrap(), found["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        statuses,
        [
            ("configuration", "ok"),
            ("identity", "ok"),
            ("credential-of-the-app", "ok"),
            ("network", "skipped"),
            ("summary", "ok")
        ]
    );
    assert_eq!(
        (&found[4]["ok"], &found[4]["skipped"]),
        (&Value::from(3), &Value::from(1))
    );
    assert!(town.cluster.state().hellos.is_empty() && town.tenant.calls().is_empty());

    let over = town.cluster.authority().user("bot", &[], Validity::OVER);
    fs::write(
        town.folder.path().join("identity"),
        town.cluster.authority().identity_file(&over),
    )
    .unwrap();
    let (status, stdout, _) = validate(&town, &["--all", "--offline", "--json"]).await;
    assert_eq!(status, Some(1));
    let failed: Value = serde_json::from_str(stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(failed["status"], "failed");
    assert!(failed["detail"].as_str().unwrap().contains("expired at"), "{failed}");
    assert!(failed["hint"].as_str().unwrap().contains("tctl auth sign"), "{failed}");

    let (_, stdout, _) = validate(&town, &["--all", "--json", "eve@example.com"]).await;
    let found: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for found in &found {
        assert!(!found["check"].as_str().unwrap().contains(' '), "{found}");
    }
    let eve = found.iter().find(|found| found["target"] == "eve@example.com").unwrap();
    assert_eq!(
        (&eve["check"], &eve["detail"]),
        (&Value::from("recipient"), &Value::from("has the app, version 1.1.3"))
    );
    assert_eq!(found.last().unwrap()["status"], "failed");

    let (status, stdout, _) = validate_with(&town, "[msapi]\n", &["--all", "--json"]).await;
    assert_eq!(status, Some(78));
    assert!(
        stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{stdout}"
    );
}

#[tokio::test]
async fn unresponsive_services_are_reported_and_dependent_checks_are_skipped() {
    let town = Town::build().await;
    town.stop_teleport().await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/token", Fault::TokenError(7_000_222))]);
    let (status, stdout, _) = validate(&town, &["--all"]).await;
    assert_eq!(status, Some(1));
    for part in [
        "FAILED  route to Teleport: ",
        "could not connect to 127.0.0.1",
        "skipped  permissions in Teleport",
        "FAILED  token for Graph: ",
        "AADSTS7000222",
        "skipped  recipients",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[tokio::test]
async fn rules_are_read_and_their_recipients_looked_up_too() {
    let town = Town::build().await;
    town.cluster
        .put_rule(rule("good", "true", &["eve@example.com", "nobody@example.com"]));
    town.cluster
        .put_rule(rule("broken", "user.trait.team", &["devs-channel"]));
    let (status, stdout, _) = validate(&town, &["--all"]).await;
    assert_eq!(status, Some(1));
    for part in [
        "Access Monitoring Rules: 2 rules for msteams",
        "broken is invalid: there is no user.trait.team; did you mean user.traits?",
        "broken names \"devs-channel\", which is not a valid recipient",
        "eve@example.com: has the app",
        "nobody@example.com: could not find",
    ] {
        assert!(stdout.contains(part), "{part} is not in {stdout}");
    }
}

#[tokio::test]
async fn the_last_line_claims_no_more_than_was_checked() {
    let town = Town::build().await;
    let (status, stdout, _) = validate(&town, &["--all", "--offline"]).await;
    assert_eq!(status, Some(0));
    assert!(
        stdout.ends_with("\nNo errors, no warnings, 1 check skipped.\n"),
        "{stdout}"
    );

    // A request that is visible proves that requests can be listed.
    town.cluster.create(Draft::default());
    let (status, stdout, _) = validate(&town, &["--all"]).await;
    assert_eq!(status, Some(0));
    assert!(
        stdout.contains("      ok  permission to list requests: granted (1 request visible)\n"),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("\nNo errors, no warnings, 1 check skipped.\n"),
        "{stdout}"
    );

    let blocked = Rule::every("POST", "/activities", Fault::Error(403, "BotDisabledByAdmin"));
    town.tenant.faults(|faults| faults.rules = vec![blocked]);
    let (status, stdout, stderr) = validate_with(
        &town,
        &town.config_for("\"*\" = \"alice@example.com\""),
        &["--all", "--send"],
    )
    .await;
    assert_eq!((status, stderr.as_str()), (Some(1), "ERROR: 1 check failed\n"));
    assert!(
        stdout.contains("could not post the card for alice@example.com"),
        "{stdout}"
    );
    assert!(!stdout.contains("No errors"), "{stdout}");
}

#[tokio::test]
async fn a_failed_login_names_the_ids_it_used() {
    let town = Town::build().await;
    let options = town.tenant.options();
    for (code, swapped) in [(90002, "is it swapped with app_id?"), (700_016, "not the teams_app_id")] {
        town.tenant
            .faults(|faults| faults.rules = vec![Rule::every("POST", "/token", Fault::TokenError(code))]);
        let (status, stdout, _) = validate(&town, &["--all"]).await;
        assert_eq!(status, Some(1));
        let ids = format!("app_id is {}, tenant_id is {}", options.app_id, options.tenant_id);
        assert!(stdout.contains(&ids) && stdout.contains(swapped), "{stdout}");
    }
}
