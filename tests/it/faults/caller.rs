//! Teleport denies every call: our user is deleted or locked, or another server answers.

use std::time::Duration;

use crate::support::{ALICE, BOB, Town, fails, for_alice};
use crate::world::cluster::{ClusterFaults, Draft, Moment, State, Verdict, rule};

type Switch = fn(&mut ClusterFaults);

#[tokio::test]
async fn a_deleted_user_is_named_and_work_is_deferred_until_it_is_back() {
    let town = Town::start().await;
    let open = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&open).await;
    // The stream goes on, as with a real Teleport.
    town.cluster.faults(|faults| faults.user_deleted = true);
    town.cluster.create(for_alice());
    town.cluster.review(&open, "alice", Verdict::Approve, "ok");
    let what =
        "the user teleport-msteams does not exist any more: [10] access denied: user \"teleport-msteams\" is not found";
    town.daemon().says(what).await;
    town.daemon().says("Create the user or the bot again").await;
    let log = town.daemon().log();
    let line = log.lines().find(|line| line.contains(what)).unwrap();
    assert!(
        line.contains("WARN") && !log.contains("Access Request is gone"),
        "{log}"
    );
    town.cluster.faults(|faults| faults.user_deleted = false);
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.expects_warnings(&["Access Request deferred"]);
    town.finish().await;
}

#[tokio::test]
async fn a_burst_of_deleted_requests_looks_up_our_user_only_a_few_times() {
    let town = Town::start().await;
    let before = town.cluster.calls()["Ping"];
    let claims = town.cluster.hold("UpdatePluginData", Moment::Before, 0);
    let ids: Vec<_> = (0..20).map(|_| town.cluster.create(for_alice())).collect();
    claims.reached(20).await;
    town.cluster.faults(|faults| faults.hold_events = true);
    for id in &ids {
        town.cluster.delete(id);
    }
    claims.open();
    town.daemon().says_times(20, "Access Request is gone").await;
    let asked = town.cluster.calls()["Ping"] - before;
    assert!((1..=6).contains(&asked), "{asked}");
    assert!(!town.daemon().log().contains("WARN"), "{}", town.daemon().log());
    town.finish().await;
}

#[tokio::test]
async fn a_locked_user_is_named_and_no_role_is_blamed() {
    let town = Town::start().await;
    let open = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&open).await;
    town.cluster.faults(|faults| faults.user_locked = true);
    town.cluster.set_state(&open, State::Denied, "no");
    town.daemon()
        .says("Teleport rejects every call of the user teleport-msteams: [10] access denied: lock targeting")
        .await;
    town.daemon().says("tctl get locks").await;
    town.cut_streams();
    town.daemon()
        .says("could not watch access requests: Teleport rejects every call")
        .await;
    assert!(
        !town.daemon().log().contains("Grant the role"),
        "{}",
        town.daemon().log()
    );
    town.cluster.faults(|faults| faults.user_locked = false);
    town.both_see(&["DENIED"]).await;
    town.expects_warnings(&["Access Request deferred"]);
    town.finish().await;
}

#[tokio::test]
async fn a_user_that_is_locked_or_deleted_leaves_the_rules_active() {
    let switches: [fn(&mut ClusterFaults, bool); 2] = [
        |faults, on| faults.user_locked = on,
        |faults, on| faults.user_deleted = on,
    ];
    for switch in switches {
        let mut town = Town::build().await;
        town.cluster.put_rule(rule("to-bob", "true", &[BOB]));
        town.start_daemon().await;
        town.cluster.faults(|faults| switch(faults, true));
        town.daemon().reload(town.load(&town.config())).await;
        town.daemon()
            .says("Could not list Access Requests and plugin data")
            .await;
        let lists = town
            .cluster
            .hold("ListAccessMonitoringRulesWithFilter", Moment::Before, 0);
        lists.reached(1).await;
        town.cluster.faults(|faults| switch(faults, false));
        town.cluster.create(for_alice());
        town.sees(BOB, &["PENDING"]).await;
        lists.open();
        town.daemon().says_next("Access Monitoring Rules listed").await;
        let log = town.daemon().log();
        assert!(
            !log.contains("Grant the role") && !log.contains("Cannot read Access Monitoring Rules"),
            "{log}"
        );
        town.expects_warnings(&["Service fails, retrying service=\"Teleport\""]);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_request_whose_traits_or_labels_a_rule_needs_is_deferred_while_the_user_is_locked() {
    for condition in [
        r#"user.traits["team"].contains("core")"#,
        r#"access_request.spec.resource_labels_union["env"].contains("prod")"#,
    ] {
        let mut town = Town::build().await;
        town.cluster.put_rule(rule("to-bob", condition, &[BOB]));
        town.cluster
            .set_traits("robin@example.com", true, &[("team", &["core"])]);
        town.cluster.add_resource("node", "n1", &[("env", "prod")]);
        town.start_daemon().await;
        // Each retry begins with the record.
        let retries = town.cluster.hold("GetPluginData", Moment::Before, 0);
        town.cluster.faults(|faults| faults.user_locked = true);
        town.cluster.create(Draft {
            resources: vec![("node".to_owned(), "n1".to_owned())],
            ..for_alice()
        });
        retries.reached(1).await;
        town.cluster.faults(|faults| faults.user_locked = false);
        retries.open();
        town.sees(BOB, &["PENDING"]).await;
        let log = town.daemon().log();
        assert!(
            !log.contains("Could not read user traits")
                && !log.contains("Could not read the traits")
                && !log.contains("Could not read the labels"),
            "{log}"
        );
        town.expects_warnings(&[
            "Service fails, retrying service=\"Teleport\"",
            "Access Request deferred",
        ]);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_start_with_a_user_that_is_gone_or_locked_fails_with_the_reason() {
    let cases: [(Switch, &str, &str); 2] = [
        (|faults| faults.user_deleted = true, "the user", "Create the user"),
        (
            |faults| faults.user_locked = true,
            "Teleport rejects every call",
            "locked",
        ),
    ];
    for (switch, part, hint) in cases {
        let town = Town::build().await;
        town.cluster.faults(switch);
        fails(&town, town.settings(&town.config()), &[part], hint).await;
    }
}

#[tokio::test]
async fn a_gateway_without_a_route_for_grpc_is_named_whatever_its_status() {
    for status in [200, 302, 401, 403, 404, 415, 502, 503] {
        let town = Town::build().await;
        town.cluster.faults(|faults| faults.gateway = Some(status));
        let parts = [
            "a gateway in front of Teleport answered instead",
            &format!("HTTP status {status}, content type \"text/html; charset=utf-8\""),
        ];
        fails(&town, town.settings(&town.config()), &parts, "gRPC").await;
    }
}

#[tokio::test]
async fn a_gateway_in_between_delays_requests_but_closes_none() {
    let town = Town::start().await;
    let open = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&open).await;
    for status in [403, 404] {
        town.cluster.faults(|faults| faults.gateway = Some(status));
        town.cut_streams();
        let what = format!("HTTP status {status}");
        town.daemon().says(&what).await;
    }
    town.cluster.review(&open, "alice", Verdict::Approve, "ok");
    town.cluster.create(for_alice());
    town.cluster.faults(|faults| faults.gateway = None);
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_server_that_cannot_watch_rules_is_watched_for_requests_only() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| {
        faults.old_watch = true;
        faults.no_rules = true;
        faults.no_list_call = true;
    });
    town.start_daemon().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.delete(&id);
    town.sees(ALICE, &["EXPIRED"]).await;
    assert!(!town.daemon().log().contains("WARN"), "{}", town.daemon().log());
    // Once for both kinds, once for requests only.
    assert_eq!(town.cluster.met("old_watch"), 2);
    town.finish().await;
}

#[tokio::test]
async fn a_server_that_grants_all_kinds_or_none_is_watched_for_requests_only() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| {
        faults.no_partial_success = true;
        faults.deny_kinds = vec!["access_monitoring_rule"];
        faults.deny_rules = true;
    });
    town.start_daemon().await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon()
        .says("Grant the role list and read on access_monitoring_rule")
        .await;
    town.finish().await;
}

#[tokio::test]
async fn a_role_that_may_watch_nothing_is_named_as_the_cause() {
    let town = Town::build().await;
    town.cluster
        .faults(|faults| faults.deny_kinds = vec!["access_request", "access_monitoring_rule"]);
    fails(
        &town,
        town.settings(&town.config()),
        &["access denied"],
        "list and read on access_request",
    )
    .await;
}

#[tokio::test]
async fn the_end_of_a_stream_is_reported_without_library_messages() {
    let town = Town::start().await;
    town.cut_streams();
    town.daemon()
        .says("could not watch access requests: Teleport closed the stream")
        .await;
    // A listing in progress would report the end of the connection, too.
    town.daemon().says_times(2, "Access Requests listed").await;
    town.stop_teleport().await;
    town.daemon()
        .says("could not watch access requests: Teleport closed the connection")
        .await;
    town.cluster.start_again().await;
    let log = town.daemon().log();
    assert!(!log.contains("http://") && !log.contains("docs.rs"), "{log}");
    town.finish().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_handshake_hints_at_the_identity() {
    let town = Town::build().await;
    town.cluster.faults(|faults| faults.cut_after = Some(Duration::ZERO));
    fails(
        &town,
        town.settings(&town.config()),
        &["Teleport closed the connection"],
        "rejects this one",
    )
    .await;
}
