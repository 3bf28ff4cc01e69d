//! Which recipients rules select, through the daemon.

use std::collections::HashMap;

use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::{Draft, Verdict, rule};
use crate::world::types;

const EVE: &str = "eve@example.com";

/// A draft by a user for a role, without suggested reviewers.
fn draft(role: &str) -> Draft {
    Draft {
        roles: vec![role.to_owned()],
        ..Draft::default()
    }
}

async fn town_with(rules: &[types::AccessMonitoringRule]) -> Town {
    let mut town = Town::build().await;
    for rule in rules {
        town.cluster.put_rule(rule.clone());
    }
    town.start_daemon().await;
    town
}

/// Creates a request for `dev`, which the table routes to Alice, and waits until exactly this recipient is notified.
async fn goes_to(town: &Town, who: &str, so_far: usize) {
    let id = town.cluster.create(draft("dev"));
    town.sees(who, &vec!["PENDING"; so_far + 1]).await;
    town.settled(&id).await;
}

#[tokio::test]
async fn a_rule_that_matches_takes_the_place_of_the_table_and_of_suggested_reviewers() {
    let condition = r#"access_request.spec.roles.contains("dba")"#;
    let town = town_with(&[rule("dba-to-eve", condition, &[EVE, "", EVE])]).await;
    let id = town.cluster.create(Draft {
        suggested_reviewers: vec![BOB.to_owned()],
        ..draft("dba")
    });
    town.sees(EVE, &["PENDING"]).await;
    town.cluster.review(&id, "eve", Verdict::Approve, "");
    town.sees(EVE, &["APPROVED"]).await;
    // The table routes a request that no rule matches.
    goes_to(&town, ALICE, 0).await;
    town.daemon()
        .until("the rule matches", |log| {
            let mut lines = log.lines();
            lines.any(|line| line.contains("Access Monitoring Rule matches") && line.contains("rule=\"dba-to-eve\""))
        })
        .await;
    let why = "Access Monitoring Rule does not match request.id";
    town.daemon().says(why).await;
    let part = r#"rule="dba-to-eve" why="access_request.spec.roles.contains(\"dba\") is false""#;
    town.daemon().says(part).await;
    town.finish().await;
}

#[tokio::test]
async fn all_matching_rules_notify_each_recipient_once() {
    let town = town_with(&[
        rule("a", "true", &[BOB, EVE]),
        rule(
            "b",
            r#"access_request.spec.user == "robin@example.com""#,
            &["EVE@example.com"],
        ),
        rule("c", "false", &[ALICE]),
        rule("d", "true", &[]),
    ])
    .await;
    town.cluster.create(draft("dev"));
    town.sees(BOB, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn rule_changes_take_effect_immediately() {
    let town = town_with(&[]).await;
    goes_to(&town, ALICE, 0).await;
    town.cluster.put_rule(rule("r", "true", &[EVE]));
    goes_to(&town, EVE, 0).await;
    town.cluster.put_rule(rule("r", "true", &[BOB]));
    goes_to(&town, BOB, 0).await;
    town.cluster.delete_rule("r");
    goes_to(&town, ALICE, 1).await;
    // Deleting an unknown rule does no harm.
    town.cluster.delete_rule("never was");
    goes_to(&town, ALICE, 2).await;
    town.finish().await;
}

#[tokio::test]
async fn rules_of_other_plugins_and_subjects_are_ignored() {
    let mut other = rule("other", "true", &[EVE]);
    other.spec.as_mut().unwrap().notification.as_mut().unwrap().name = "msteams-default".to_owned();
    let mut subject = rule("subject", "true", &[EVE]);
    subject.spec.as_mut().unwrap().subjects = vec!["access_list".to_owned()];
    let mut none = rule("none", "true", &[EVE]);
    none.spec.as_mut().unwrap().notification = None;
    let town = town_with(&[other.clone(), subject, none]).await;
    goes_to(&town, ALICE, 0).await;
    // A rule that becomes ours, and one that ceases to be.
    other.spec.as_mut().unwrap().notification.as_mut().unwrap().name = "msteams".to_owned();
    town.cluster.put_rule(other.clone());
    goes_to(&town, EVE, 0).await;
    other.spec.as_mut().unwrap().subjects = Vec::new();
    town.cluster.put_rule(other);
    goes_to(&town, ALICE, 1).await;
    town.finish().await;
}

#[tokio::test]
async fn an_invalid_rule_disables_only_itself_and_is_reported_once() {
    let broken = rule("broken", r#"access_request.spec.role.contains("dev")"#, &[BOB]);
    let town = town_with(&[broken, rule("good", "true", &[EVE])]).await;
    goes_to(&town, EVE, 0).await;
    town.cut_streams();
    town.daemon().says_next("Watcher connected").await;
    goes_to(&town, EVE, 1).await;
    let log = town.daemon().log();
    let lines = town
        .daemon()
        .warnings("Access Monitoring Rule is invalid and was skipped rule=\"broken\"");
    assert_eq!(lines, 1, "{log}");
    assert!(log.contains("did you mean access_request.spec.roles?"), "{log}");
    assert!(log.contains("Access Monitoring Rules loaded rules=2 broken=1"), "{log}");
    town.finish().await;
}

#[tokio::test]
async fn only_a_rule_that_can_be_used_is_logged_as_applied() {
    let town = town_with(&[]).await;
    let applied = |name: &str| {
        format!("INFO teleport_msteams::daemon::requests::rulebook: Access Monitoring Rule loaded rule=\"{name}\"")
    };
    for (name, condition) in [("r", "true"), ("r", "broken("), ("new", "broken("), ("last", "true")] {
        town.cluster.put_rule(rule(name, condition, &[EVE]));
    }
    town.daemon().says(&applied("last")).await;
    let log = town.daemon().log();
    let warned = |name: &str| {
        let text = format!("Access Monitoring Rule is invalid and was skipped rule=\"{name}\"");
        town.daemon().warnings(&text)
    };
    assert_eq!((warned("r"), warned("new")), (1, 1), "{log}");
    assert_eq!(log.matches(&applied("r")).count(), 1, "{log}");
    assert!(!log.contains(&applied("new")), "{log}");
    goes_to(&town, EVE, 0).await;
    town.finish().await;
}

#[tokio::test]
async fn a_rule_that_fails_for_one_request_is_reported_and_the_others_apply() {
    let failing = r#"newer_than(access_request.spec.request_reason, "1.0.0")"#;
    let town = town_with(&[rule("failing", failing, &[BOB]), rule("good", "true", &[EVE])]).await;
    goes_to(&town, EVE, 0).await;
    town.daemon().says("Could not evaluate an Access Monitoring Rule").await;
    town.daemon().says("rule=\"failing\" part=\"condition\"").await;
    town.daemon().says("is not a version such as 1.2.3").await;
    town.finish().await;
}

#[tokio::test]
async fn schedules_decide_by_the_time_at_which_the_request_was_made() {
    let shift = |day: &str| types::Shift {
        weekday: day.to_owned(),
        start: "00:00".to_owned(),
        end: "23:59".to_owned(),
    };
    let scheduled = |name: &str, who: &str, timezone: &str, days: &[&str]| {
        let time = types::TimeSchedule {
            shifts: days.iter().map(|day| shift(day)).collect(),
            timezone: timezone.to_owned(),
        };
        let mut rule = rule(name, "true", &[who]);
        rule.spec.as_mut().unwrap().schedules =
            HashMap::from([("hours".to_owned(), types::RuleSchedule { time: Some(time) })]);
        rule
    };
    let town = town_with(&[
        // Teleport accepts this name of a day, but it never matches.
        scheduled("lower", BOB, "UTC", &["monday"]),
        scheduled("sunday", EVE, "Europe/Berlin", &["Sunday"]),
        scheduled("nowhere", BOB, "Nowhere/Land", &["Monday"]),
    ])
    .await;
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    // A Sunday in Berlin that is still Saturday in UTC, and a Monday.
    for (seconds, who) in [(1_754_778_600, EVE), (1_754_910_000, ALICE)] {
        let mut request = town.cluster.create_quietly(draft("dev"));
        request.spec.as_mut().unwrap().created = at(seconds);
        town.cluster.put_request(request);
        town.sees(who, &["PENDING"]).await;
    }
    town.daemon()
        .says("schedule \\\"hours\\\": there is no time zone")
        .await;
    town.expects_warnings(&["rule=\"nowhere\" part=\"schedule\""]);
    town.finish().await;
}

#[tokio::test]
async fn rules_are_loaded_page_by_page_before_any_request_is_routed() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.page = Some(2));
    for name in ["a", "b", "c", "d"] {
        town.cluster.put_rule(rule(name, "false", &[BOB]));
    }
    town.cluster.put_rule(rule("e", "true", &[EVE]));
    let id = town.cluster.create(draft("dev"));
    town.start_daemon().await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(town.cluster.calls()["ListAccessMonitoringRulesWithFilter"], 3);
    town.finish().await;
}

#[tokio::test]
async fn requests_wait_for_rules_that_cannot_be_listed_yet() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.fail_rules = 3);
    town.cluster.put_rule(rule("r", "true", &[EVE]));
    let id = town.cluster.create(draft("dev"));
    town.start_daemon().await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.daemon().says("Could not list Teleport resources, retrying").await;
    town.finish().await;
}

#[tokio::test]
async fn rules_that_changed_while_teleport_was_away_are_known_after_the_reconnect() {
    let town = town_with(&[rule("old", "true", &[BOB]), rule("stays", "false", &[BOB])]).await;
    town.stop_teleport().await;
    town.cluster.delete_rule("old");
    town.cluster.put_rule(rule("new", "true", &[EVE]));
    town.cluster.start_again().await;
    town.daemon().says_next("Watcher connected").await;
    town.daemon().says_next("Access Monitoring Rules listed rules=2").await;
    goes_to(&town, EVE, 0).await;
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_to_read_rules_the_table_routes_and_a_warning_names_it() {
    for watching in [true, false] {
        let mut town = Town::build().await;
        town.cluster.put_rule(rule("r", "true", &[EVE]));
        town.cluster.faults(|faults| {
            if watching {
                faults.deny_rules = true;
            } else {
                faults.deny_kinds = vec!["access_monitoring_rule"];
            }
        });
        town.start_daemon().await;
        goes_to(&town, ALICE, 0).await;
        let log = town.daemon().log();
        let hint = "Grant the role list and read on access_monitoring_rule";
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        assert!(log.contains(hint), "{log}");
        // Once it is granted, the next connection finds the rules.
        town.cluster.faults(|faults| {
            faults.deny_rules = false;
            faults.deny_kinds.clear();
        });
        town.cut_streams();
        town.daemon().says("Access Monitoring Rules can be read again").await;
        goes_to(&town, EVE, 0).await;
        town.expects_warnings(&["Cannot read Access Monitoring Rules"]);
        town.finish().await;
    }
}

#[tokio::test]
async fn older_servers_list_all_rules_or_have_none() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.no_rule_filter = true);
    let mut other = rule("other", "true", &[BOB]);
    other.spec.as_mut().unwrap().notification.as_mut().unwrap().name = "slack".to_owned();
    town.cluster.put_rule(other);
    town.cluster.put_rule(rule("r", "true", &[EVE]));
    town.start_daemon().await;
    goes_to(&town, EVE, 0).await;
    town.finish().await;

    let mut town = Town::build().await;
    town.cluster.faults(|faults| {
        faults.no_rule_filter = true;
        faults.no_rules = true;
    });
    town.start_daemon().await;
    goes_to(&town, ALICE, 0).await;
    assert!(!town.daemon().log().contains("WARN"), "{}", town.daemon().log());
    town.finish().await;
}

const CORE: &str = r#"user.traits.team.contains("core")"#;
const USER: &str = "robin@example.com";

#[tokio::test]
async fn traits_are_those_of_the_last_login_or_else_of_the_user() {
    let town = town_with(&[rule("core", CORE, &[EVE])]).await;
    town.cluster.set_traits(USER, false, &[("team", &["edge"])]);
    town.cluster.set_traits(USER, true, &[("team", &["core", "x"])]);
    town.cluster.set_traits("carol", false, &[("team", &["core"])]);
    goes_to(&town, EVE, 0).await;
    town.cluster.create(Draft {
        user: "carol".to_owned(),
        ..draft("dev")
    });
    town.sees(EVE, &["PENDING"; 2]).await;
    // They are kept for a while.
    goes_to(&town, EVE, 2).await;
    assert_eq!(town.cluster.calls()["GetUserLoginState"], 2);
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_to_read_traits_rules_see_none() {
    let town = town_with(&[
        rule("core", CORE, &[BOB]),
        rule("not core", &format!("!{CORE}"), &[EVE]),
    ])
    .await;
    town.cluster.set_traits(USER, true, &[("team", &["core"])]);
    town.cluster.faults(|faults| faults.deny_traits = true);
    goes_to(&town, EVE, 0).await;
    goes_to(&town, EVE, 1).await;
    let log = town.daemon().log();
    assert_eq!(log.matches("Could not read user traits").count(), 1, "{log}");
    assert!(
        log.contains("Grant the role read on user_login_state and user"),
        "{log}"
    );
    town.expects_warnings(&["Could not read user traits"]);
    town.finish().await;
}

#[tokio::test]
async fn an_unknown_requester_is_routed_by_the_table() {
    let town = town_with(&[rule("not core", &format!("!{CORE}"), &[EVE])]).await;
    goes_to(&town, ALICE, 0).await;
    town.daemon()
        .says("Could not read the traits of the requester; no Access Monitoring Rule is evaluated")
        .await;
    town.finish().await;
}

#[tokio::test]
async fn labels_are_those_of_what_is_requested_and_not_of_its_servers() {
    let union = r#"access_request.spec.resource_labels_union["env"].contains("prod")"#;
    let all = r#"access_request.spec.resource_labels_intersection["env"].contains("prod")"#;
    let town = town_with(&[rule("some prod", union, &[BOB]), rule("all prod", all, &[EVE])]).await;
    let cluster = &town.cluster;
    cluster.add_resource("node", "n1", &[("env", "prod")]);
    cluster.add_resource("node", "n2", &[("env", "dev")]);
    cluster.add_resource("db_server", "orders", &[("env", "prod")]);
    cluster.add_resource("app_server", "wiki", &[("env", "prod")]);
    cluster.add_resource("kube_server", "k", &[("env", "prod")]);
    let asks = |resources: &[(&str, &str)]| {
        let resources = resources
            .iter()
            .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()));
        cluster.create(Draft {
            resources: resources.collect(),
            ..draft("dev")
        });
    };
    asks(&[("node", "n1"), ("node", "n2")]);
    town.sees(BOB, &["PENDING"]).await;
    asks(&[
        ("db", "orders"),
        ("app", "wiki"),
        ("kube_cluster", "k"),
        ("node", "hidden"),
    ]);
    town.sees(BOB, &["PENDING"; 2]).await;
    town.sees(EVE, &["PENDING"]).await;
    asks(&[("node", "n2")]);
    town.sees(ALICE, &["PENDING"]).await;
    // A request for roles only has no labels to look up.
    let calls = cluster.calls()["ListResources"];
    goes_to(&town, ALICE, 1).await;
    assert_eq!(cluster.calls()["ListResources"], calls);
    // One for each kind of each request: the labels come with the names that the cards show.
    assert_eq!(calls, 1 + 4 + 1);
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_to_see_resources_only_rules_about_labels_are_silent() {
    let labels = r#"is_empty(access_request.spec.resource_labels_union["env"])"#;
    let town = town_with(&[rule("labels", labels, &[BOB]), rule("role", "true", &[EVE])]).await;
    town.cluster.faults(|faults| faults.deny_resources = true);
    let resources = vec![("node".to_owned(), "n1".to_owned())];
    for so_far in 1..=2 {
        town.cluster.create(Draft {
            resources: resources.clone(),
            ..draft("dev")
        });
        town.sees(EVE, &vec!["PENDING"; so_far]).await;
    }
    let log = town.daemon().log();
    assert_eq!(log.matches("WARN").count(), 2, "{log}");
    let warned = |line: &&str| line.contains("WARN") && line.contains("Grant the role list and read on node");
    assert_eq!(log.lines().filter(warned).count(), 2, "{log}");
    // Once it may be seen, its labels count: without the label the rule matches.
    town.cluster.faults(|faults| faults.deny_resources = false);
    town.cluster.create(Draft {
        resources,
        ..draft("dev")
    });
    town.sees(BOB, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"; 3]).await;
    town.expects_warnings(&[
        "Could not read the labels of the requested resources",
        "Could not read the names of requested resources",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn recipients_stay_the_same_after_a_request_is_announced() {
    let mut town = town_with(&[rule("r", "true", &[EVE])]).await;
    let id = town.cluster.create(draft("dev"));
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(town.cluster.plugin_data(&id)["x_recipients"], r#"["eve@example.com"]"#);
    town.cluster.put_rule(rule("r", "true", &[BOB]));
    town.cluster.put_rule(rule("s", "true", &[ALICE]));
    town.kill_daemon();
    town.start_daemon().await;
    town.cluster.review(&id, "eve", Verdict::Approve, "");
    town.sees(EVE, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_without_recipients_is_routed_again_when_a_rule_is_created() {
    let mut town = Town::build().await;
    let config = town.config_for(r#""*" = []"#);
    town.start_daemon_with(&config).await;
    town.cluster.create(draft("dev"));
    town.daemon().says("No recipients to notify").await;
    town.cluster.put_rule(rule("r", "true", &[EVE]));
    town.sees(EVE, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_rule_with_only_unknown_recipients_does_not_fall_back_to_the_table() {
    let town = town_with(&[rule(
        "r",
        r#"access_request.spec.roles.contains("dev")"#,
        &["nobody at all"],
    )])
    .await;
    town.cluster.create(draft("dev"));
    town.daemon().says("No recipients to notify").await;
    town.daemon()
        .says("Access Monitoring Rule names an invalid recipient rule=\"r\" recipient=\"nobody at all\"")
        .await;
    town.cluster.create(draft("dba"));
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.finish().await;
}
