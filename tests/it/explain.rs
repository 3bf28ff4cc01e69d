//! `explain`: what it shows of one request, and that it changes nothing.

use std::fs;

use regex::Regex;

use crate::process::run;
use crate::support::{ALICE, BOB, Ended, Town, for_alice};
use crate::world::cluster::{ClusterOptions, Draft, Verdict, rule};
use crate::world::tenant::TenantOptions;

const EVE: &str = "eve@example.com";

/// Everything that is sent besides the cards of reviewers.
const FURTHER: &str = "\
[notify]
requester = true
remind_after = [\"1h\", \"4h\"]
remind_before_expiry = \"30m\"
access_ends = \"1h\"
[escalation]
after = \"2h\"
manager = true
[escalation.role_to_recipients]
dba = \"carol@example.com\"
";

/// Returns what a command leaves behind that sends or writes something.
fn left(town: &Town) -> (usize, usize, String) {
    let state = town.cluster.state();
    let data = format!("{:?} {:?}", state.plugin_data, state.calls.get("UpdatePluginData"));
    (town.tenant.calls().len(), state.writes.len(), data)
}

/// Explains a request with a configuration, and checks that nothing was sent or written. No daemon runs.
async fn explain(town: &Town, config: &str, id: &str) -> Ended {
    let file = town.folder.path().join("explain.toml");
    fs::write(&file, config).unwrap();
    let before = left(town);
    let ended = run(&["explain", id, "-c", file.to_str().unwrap()]).await;
    assert_eq!(left(town), before, "it only reads");
    ended
}

/// Explains a request, which succeeds, and returns what is printed.
async fn explained(town: &Town, config: &str, id: &str) -> String {
    let (status, stdout, stderr) = explain(town, config, id).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    stdout
}

/// Returns whether each of these parts is in the text, in this order.
fn has(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest.split_once(part);
        let (_, after) = found.unwrap_or_else(|| panic!("{part:?} is not next in:\n{text}"));
        rest = after;
    }
}

/// Replaces times, distances and names that differ between runs.
fn tidy(text: &str, id: &str) -> String {
    let replace = |text: String, pattern: &str, with: &str| {
        let pattern = Regex::new(pattern).unwrap();
        pattern.replace_all(&text, with).into_owned()
    };
    let text = text.replace(id, "<id>");
    let text = replace(text, r"\b[0-9a-f]{32}\b", "<replica>");
    let text = replace(text, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<time>");
    let text = replace(text, r"\d\d [A-Z][a-z]+ \d\d \d\d:\d\d UTC", "<posted>");
    let text = replace(text, r"\((now|in [0-9dhms ]+|[0-9dhms ]+ ago)\)", "(<distance>)");
    replace(
        text,
        r"<time>  (in [0-9dhms ]*[0-9][dhms]|due now|done) *  ",
        "<time>  <when>  ",
    )
}

/// Starts a daemon, creates a request, waits until its cards are recorded, and ends the daemon.
async fn announced(town: &mut Town, config: &str, draft: Draft) -> String {
    town.start_daemon_with(config).await;
    let id = town.cluster.create(draft);
    town.settled(&id).await;
    town.kill_daemon();
    id
}

fn of_eve() -> Draft {
    Draft {
        user: EVE.to_owned(),
        ..Draft::default()
    }
}

#[tokio::test]
async fn an_announced_request_shows_each_card_and_the_schedule() {
    let mut town = Town::build().await;
    let config = format!("{}\n{FURTHER}", town.config());
    let id = announced(&mut town, &config, of_eve()).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    let text = explained(&town, &config, &id).await;
    insta::assert_snapshot!("explain", tidy(&text, &id));
    town.finish().await;
}

#[tokio::test]
async fn a_shared_card_is_named() {
    let mut town = Town::build().await;
    let recipients = format!("\"*\" = {:?}", town.channel);
    let config = format!("{}\n[digest]\nabove = 1\n", town.config_for(&recipients));
    town.start_daemon_with(&config).await;
    let mut id = String::new();
    for _ in 0..2 {
        id = town.cluster.create(Draft::default());
        town.settled(&id).await;
    }
    town.kill_daemon();
    let channel = town.channel.clone();
    town.sees(&channel, &["PENDING", "?"]).await;
    let text = explained(&town, &config, &id).await;
    has(
        &text,
        &["shared card (digest) posted", "shows PENDING with no reviews: current"],
    );
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_is_not_announced_shows_who_would_be_notified() {
    let town = Town::build().await;
    let draft = Draft {
        suggested_reviewers: vec![BOB.to_owned(), "ops".to_owned(), EVE.to_owned()],
        ..of_eve()
    };
    let id = town.cluster.create(draft);
    let config = town.config_for(&format!("\"*\" = \"{BOB}\"\ndba = [\"{ALICE}\", \"{EVE}\"]"));
    let text = explained(&town, &config, &id).await;
    let expected = [
        "Announced   not yet",
        "Recipients, by role_to_recipients and suggested reviewers",
        "alice@example.com  (role_to_recipients.dba[0])\n      would be notified now",
        "bob@example.com  (suggested_reviewers)\n      would be notified now",
        "eve@example.com  (role_to_recipients.dba[1])\n      not notified: is the requester",
        "  ops\n      not notified: no email address or user ID is known",
        "not looked up: ops: ",
        "Access Monitoring Rules\n  none for this plugin",
        "the request expires",
    ];
    has(&text, &expected);
    let held = format!("{config}\n[notify]\ngrace = \"1h\"\nremind_after = \"1h\"");
    let text = explained(&town, &held, &id).await;
    let expected = [
        "would be notified at ",
        "Schedule",
        "announcement, held by notify.grace",
        "reminder after 1h, to recipients who have not reviewed",
    ];
    has(&text, &expected);
    let none = town.config_for(&format!("\"*\" = \"{BOB}\"\ndba = \"{EVE}\""));
    town.cluster.edit(&id, |spec| spec.suggested_reviewers.clear());
    has(
        &explained(&town, &none, &id).await,
        &["is the requester", "No recipient would be notified."],
    );
    town.finish().await;
}

#[tokio::test]
async fn a_failed_delivery_shows_its_reason_and_the_next_attempt() {
    let mut town = Town::build().await;
    let config = town.config_for(&format!("\"*\" = [\"{ALICE}\", \"nobody@example.com\"]"));
    town.expects_warnings(&["Cannot notify recipient"]);
    let id = announced(&mut town, &config, Draft::default()).await;
    town.sees(ALICE, &["PENDING"]).await;
    let text = explained(&town, &config, &id).await;
    let expected = [
        "nobody@example.com  (role_to_recipients.\"*\"[1])",
        "not delivered: ",
        "attempt",
        "the last one at ",
        "Schedule",
        "next attempt to deliver to nobody@example.com",
    ];
    has(&text, &expected);
    town.finish().await;
}

#[tokio::test]
async fn rules_show_why_they_match_or_not() {
    let mut town = Town::build().await;
    town.cluster
        .set_traits("robin@example.com", true, &[("team", &["core"])]);
    town.cluster
        .put_rule(rule("dba", "access_request.spec.roles.contains(\"dba\")", &[BOB]));
    town.cluster
        .put_rule(rule("team", "user.traits[\"team\"].contains(\"db\")", &[ALICE]));
    let config = town.config();
    let id = announced(&mut town, &config, Draft::default()).await;
    town.sees(BOB, &["PENDING"]).await;
    let text = explained(&town, &config, &id).await;
    let expected = [
        "Recipients, by the rules that matched when it was announced",
        "bob@example.com  (Access Monitoring Rule dba)\n      card posted ",
        "shows PENDING with no reviews: current",
        "Access Monitoring Rules, as they are now\n  matches   dba   notifies bob@example.com",
        "  no match  team  user.traits[\"team\"].contains(\"db\") is false",
    ];
    has(&text, &expected);

    // A request that arrives while no daemon runs, and a role that may not read users.
    let next = town.cluster.create(Draft::default());
    town.cluster.faults(|faults| faults.deny_traits = true);
    let text = explained(&town, &config, &next).await;
    let expected = [
        "Recipients, by Access Monitoring Rules; role_to_recipients and suggested reviewers do not apply",
        "bob@example.com  (Access Monitoring Rule dba)\n      would be notified now",
        "not looked up: robin@example.com: ",
        "hint: Grant the role read on user_login_state and user",
    ];
    has(&text, &expected);
    town.cluster.faults(|faults| faults.deny_rules = true);
    let text = explained(&town, &config, &next).await;
    let expected = [
        "alice@example.com  (role_to_recipients.dba[0])",
        "hint: Grant the role list and read on access_monitoring_rule",
        "none for this plugin",
    ];
    has(&text, &expected);
    town.finish().await;
}

#[tokio::test]
async fn a_resolved_request_shows_the_decision_and_the_end_of_the_access() {
    let mut town = Town::build().await;
    let config = format!("{}\n{FURTHER}", town.config());
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(of_eve());
    for who in [ALICE, BOB, EVE] {
        town.sees(who, &["PENDING"]).await;
    }
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.sees(EVE, &["APPROVED", "APPROVED"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    let text = explained(&town, &config, &id).await;
    let expected = [
        "Stage       APPROVED, 1 review",
        "alice@example.com",
        "shows APPROVED with 1 review: current",
        "eve@example.com  (the requester, by notify.requester)",
        "eve@example.com  (the requester, for the decision)",
        "shows APPROVED with 1 review: current",
        "Schedule",
        "message to the requester that access ends soon",
        "access ends",
    ];
    has(&text, &expected);

    // Resolved before any daemon saw it.
    let missed = town.cluster.create(of_eve());
    town.cluster.review(&missed, "alice", Verdict::Deny, "no");
    let text = explained(&town, &config, &missed).await;
    has(
        &text,
        &["It was resolved before it was announced, so no recipient is notified."],
    );

    // Deleted, with a record that is left.
    town.cluster.delete(&id);
    let text = explained(&town, &config, &id).await;
    let expected = [
        "does not exist, or the role cannot see it",
        "User        eve@example.com",
        "Stage       APPROVED",
        "alice@example.com",
        "Schedule\n  nothing is due",
    ];
    has(&text, &expected);
    assert!(!text.contains("Access Monitoring Rules"), "{text}");
    town.finish().await;
}

#[tokio::test]
async fn a_claim_and_a_stale_card_are_shown() {
    let mut town = Town::build().await;
    let config = town.config();
    let id = announced(&mut town, &config, Draft::default()).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.cluster.review(&id, "carol", Verdict::Deny, "no");
    let mut data = town.cluster.plugin_data(&id);
    data.insert("x_claim".to_owned(), "held other 7".to_owned());
    town.cluster.set_plugin_data(&id, data);
    let text = explained(&town, &config, &id).await;
    has(
        &text,
        &[
            "Replica     other holds the claim",
            "shows PENDING with no reviews: stale, an update is due",
        ],
    );
    town.start_daemon_with(&config).await;
    town.sees(ALICE, &["DENIED"]).await;
    town.sees(BOB, &["DENIED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn an_unknown_request_and_a_missing_permission_are_errors_with_hints() {
    let town = Town::build().await;
    let config = town.config();
    let (status, stdout, stderr) = explain(&town, &config, "no-such-request").await;
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    let expected = [
        "ERROR: could not explain no-such-request: Teleport has no such Access Request, and no record of it\n",
        "hint: Compare the ID with `tctl requests ls`, and check that the role has list and read on access_request\n",
    ];
    assert_eq!(stderr, expected.concat());
    let id = town.cluster.create(Draft::default());
    town.cluster.faults(|faults| faults.deny_plugin_data = true);
    let (status, _, stderr) = explain(&town, &config, &id).await;
    assert_eq!(status, Some(1));
    has(
        &stderr,
        &[
            "ERROR: could not read plugin data: ",
            "hint: Grant the role list and read on access_request",
        ],
    );
    let (status, _, stderr) = run(&["explain"]).await;
    assert_eq!(status, Some(2), "{stderr}");
    town.finish().await;
}

#[tokio::test]
async fn a_delegate_is_shown_with_the_recipient_who_is_out_of_office() {
    let mut options = TenantOptions::default();
    options.roles.push("Presence.Read.All");
    let mut town = Town::build_with(ClusterOptions::default(), options).await;
    town.tenant.set_out_of_office(&town.people["Alice"], EVE);
    let config = format!("{}\n[notify]\nout_of_office = true\n", town.config());
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    let lines = [
        "alice@example.com  (role_to_recipients.\"*\"[0])",
        "eve@example.com  (named in the out-of-office message of alice@example.com)",
        "card posted",
    ];
    for config in [&config, &town.config()] {
        has(&explained(&town, config, &id).await, &lines);
    }
    town.finish().await;
}
