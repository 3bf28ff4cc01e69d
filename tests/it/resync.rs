//! Listing everything: one listing at a time, each list for itself, and what an absence from it means.

use std::time::Duration;

use teleport_msteams::config::{Limits, Settings};
use tonic::Code;

use crate::support::{ALICE, BOB, Daemon, Town, for_alice};
use crate::world::cluster::{ClusterFaults, ClusterState, Draft, Moment, State, Verdict, rule};

fn settings(town: &Town, change: impl FnOnce(Limits) -> Limits) -> Settings {
    let settings = town.settings(&town.config());
    Settings {
        limits: change(settings.limits),
        ..settings
    }
}

/// Waits until requests were listed so many times more.
async fn listed(town: &Town, times: usize) {
    let count = |state: &ClusterState| state.calls.get("ListAccessRequests").copied().unwrap_or_default();
    let before = count(&town.cluster.state());
    town.cluster
        .until("requests are listed", |state| count(state) >= before + times)
        .await;
}

#[tokio::test]
async fn without_a_list_of_rules_the_table_routes_after_a_while_and_rules_do_once_they_come() {
    let mut town = Town::build().await;
    town.cluster.put_rule(rule("to-bob", "true", &[BOB]));
    town.cluster.faults(|faults| faults.fail_rules = u32::MAX);
    town.cluster.create(for_alice());
    let settings = settings(&town, |limits| Limits {
        rules_wait: Duration::from_millis(300),
        ..limits
    });
    town.start_daemon_on(settings).await;
    town.sees(ALICE, &["PENDING"]).await;
    let what = "Could not list Access Monitoring Rules, routing by role_to_recipients until they are listed";
    assert_eq!(town.daemon().log().matches(what).count(), 1);
    town.cluster.faults(|faults| faults.fail_rules = 0);
    town.daemon().says("Access Monitoring Rules can be read again").await;
    town.cluster.create(for_alice());
    town.sees(BOB, &["PENDING"]).await;
    town.expects_warnings(&[
        "Could not list Teleport resources, retrying resource=\"access_monitoring_rule\"",
        "Could not list Access Monitoring Rules, routing by role_to_recipients until they are listed",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn what_was_missed_is_found_although_rules_or_records_cannot_be_listed() {
    let faults: [fn(&mut ClusterFaults); 2] = [
        |faults| faults.fail_rules = u32::MAX,
        |faults| faults.fail_records = Some(Code::Internal),
    ];
    for switch in faults {
        let town = Town::start().await;
        let known = town.cluster.create(for_alice());
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&known).await;
        town.stop_teleport().await;
        town.cluster.faults(switch);
        town.cluster.review(&known, "alice", Verdict::Approve, "ok");
        town.cluster.create(for_alice());
        town.cluster.start_again().await;
        town.sees(ALICE, &["APPROVED", "PENDING"]).await;
        town.daemon().says("Could not list Teleport resources, retrying").await;
        town.finish().await;
    }
}

#[tokio::test]
async fn records_that_exceed_a_limit_together_are_read_one_by_one() {
    let faults: [fn(&mut ClusterFaults); 2] = [
        |faults| faults.fail_records = Some(Code::ResourceExhausted),
        |faults| faults.huge_records = true,
    ];
    for switch in faults {
        let mut town = Town::start().await;
        let known = town.cluster.create(for_alice());
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&known).await;
        town.kill_daemon();
        town.cluster.faults(switch);
        town.cluster.review(&known, "alice", Verdict::Approve, "ok");
        town.cluster.create(for_alice());
        town.start_daemon().await;
        town.sees(ALICE, &["APPROVED", "PENDING"]).await;
        town.settled(&known).await;
        let what = "Could not list plugin data, reading records one by one";
        let warned = |log: &str| {
            log.lines()
                .filter(|line| line.contains(what) && line.contains("WARN"))
                .count()
        };
        town.cut_streams();
        listed(&town, 1).await;
        assert_eq!(warned(&town.daemon().log()), 1);
        town.expects_warnings(&["Could not list plugin data, reading records one by one"]);
        town.finish().await;
    }
}

#[tokio::test]
async fn requests_that_exceed_a_limit_together_are_listed_fewer_at_a_time() {
    let mut town = Town::build().await;
    for _ in 0..12 {
        town.cluster.create(Draft {
            reason: "long ".repeat(2_400),
            ..for_alice()
        });
    }
    town.cluster.faults(|faults| faults.page_bytes = Some(24_000));
    town.start_daemon().await;
    town.sees(ALICE, &["PENDING"; 12]).await;
    // 100 and 10 at a time are too many; 10 are tried again after 1, 2 and 4 pages.
    assert_eq!(town.cluster.met("page_bytes"), 5);
    town.finish().await;
}

#[tokio::test]
async fn pages_grow_again_after_requests_that_exceeded_a_limit_together() {
    let mut town = Town::build().await;
    let resolved = |id: String, reason: String| Draft {
        id: Some(id),
        reason,
        state: State::Approved,
        ..for_alice()
    };
    for number in 0..3 {
        town.cluster
            .create(resolved(format!("a-{number}"), "long ".repeat(2_400)));
    }
    for number in 0..300 {
        town.cluster.create(resolved(format!("b-{number}"), String::new()));
    }
    town.cluster.faults(|faults| faults.page_bytes = Some(24_000));
    town.start_daemon().await;
    let calls = town.cluster.calls()["ListAccessRequests"];
    assert!(town.cluster.met("page_bytes") > 0 && calls < 20, "{calls}");
    town.finish().await;
}

#[tokio::test]
async fn endless_lists_are_abandoned_with_a_warning_and_events_go_on() {
    let town = Town::start().await;
    town.cluster.faults(|faults| faults.endless_lists = true);
    town.cut_streams();
    let why = "the list does not end: a page names itself as the next one";
    for what in ["list access monitoring rules", "list access requests"] {
        town.daemon().says(&format!("could not {what}: {why}")).await;
    }
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    listed(&town, 10).await;
    let log = town.daemon().log();
    let warnings = log.lines().filter(|line| line.contains("WARN") && line.contains(why));
    assert_eq!(warnings.count(), 2, "{log}");
    town.finish().await;
}

#[tokio::test]
async fn an_endless_stream_of_requests_is_abandoned_after_a_while() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.no_list_call = true);
    let settings = settings(&town, |limits| Limits {
        teleport_timeout: Duration::from_millis(200),
        ..limits
    });
    town.start_daemon_on(settings).await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.faults(|faults| faults.endless_lists = true);
    town.cut_streams();
    town.daemon()
        .says("could not list access requests: the list does not end: it goes on after 2s")
        .await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.expects_warnings(&["Could not list Teleport resources, retrying resource=\"access_monitoring_rule\""]);
    town.finish().await;
}

#[tokio::test]
async fn endless_labels_do_not_delay_a_request() {
    let mut town = Town::build().await;
    let condition = "access_request.spec.resource_labels_union[\"env\"].contains(\"prod\")";
    town.cluster.put_rule(rule("to-bob", condition, &[BOB]));
    town.cluster.add_resource("node", "n1", &[("env", "prod")]);
    town.start_daemon().await;
    town.cluster.faults(|faults| faults.endless_lists = true);
    town.cluster.create(Draft {
        resources: vec![("node".to_owned(), "n1".to_owned())],
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    // Two pages of labels for the rule, and two of names for the card.
    assert_eq!(town.cluster.met("ListResources"), 4);
    town.daemon()
        .says("read the details of resources: the list does not end")
        .await;
    town.finish().await;
}

#[tokio::test]
async fn many_triggers_cause_one_listing_at_a_time() {
    let town = Town::start().await;
    let lists = town.cluster.hold("ListAccessRequests", Moment::Before, 0);
    let before = town.cluster.calls()["ListAccessRequests"];
    town.daemon().reload(town.load(&town.config())).await;
    lists.reached(1).await;
    for _ in 0..30 {
        town.daemon().reload(town.load(&town.config())).await;
    }
    assert_eq!(
        town.cluster.calls()["ListAccessRequests"],
        before + 1,
        "they wait for the first"
    );
    lists.open();
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    listed(&town, 0).await;
    assert!(town.cluster.calls()["ListAccessRequests"] <= before + 2);
    town.finish().await;
}

#[tokio::test]
async fn listings_that_fail_do_not_multiply() {
    let mut town = Town::build().await;
    let settings = settings(&town, |limits| Limits {
        resync_first_pause: Duration::from_hours(1),
        teleport_longest_pause: Duration::from_hours(1),
        ..limits
    });
    town.start_daemon_on(settings).await;
    town.cluster.faults(|faults| faults.fail_lists = u32::MAX);
    let before = town.cluster.calls()["ListAccessRequests"];
    for _ in 0..3 {
        town.daemon().reload(town.load(&town.config())).await;
    }
    listed(&town, 0).await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon()
        .says("Could not list Teleport resources, retrying resource=\"access_request\"")
        .await;
    // The first reload and, as one, those that came meanwhile; nothing else before the pause of an hour is over.
    assert!(town.cluster.calls()["ListAccessRequests"] <= before + 3);
    town.finish().await;
}

#[tokio::test]
async fn one_failed_list_after_a_reconnect_costs_about_a_second() {
    let mut town = Town::build().await;
    let settings = settings(&town, |limits| Limits {
        resync_first_pause: Limits::default().resync_first_pause,
        teleport_longest_pause: Limits::default().teleport_longest_pause,
        ..limits
    });
    town.start_daemon_on(settings).await;
    town.stop_teleport().await;
    town.cluster.create(for_alice());
    town.cluster.faults(|faults| faults.fail_lists = 1);
    let since = std::time::Instant::now();
    town.cluster.start_again().await;
    town.sees(ALICE, &["PENDING"]).await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert_eq!(town.cluster.state().faults.fail_lists, 0);
    town.expects_warnings(&["Could not list Teleport resources, retrying resource=\"access_request\""]);
    town.finish().await;
}

#[tokio::test]
async fn a_listing_on_an_older_connection_delays_nothing_and_proves_nothing() {
    let town = Town::build().await;
    let lists = town.cluster.hold("ListAccessRequests", Moment::Before, 0);
    let daemon = Daemon::start(town.settings(&town.config()));
    lists.reached(1).await;
    town.cluster.cut_streams();
    lists.reached(2).await;
    assert!(!daemon.log().contains("Plugin is ready"));
    lists.open();
    daemon.says("Plugin is ready").await;
    daemon.stop().await.unwrap();
    town.finish().await;
}

/// A town with a card whose request was deleted while the daemon was down.
async fn one_deleted_unseen() -> Town {
    let mut town = Town::start().await;
    let gone = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&gone).await;
    town.kill_daemon();
    town.cluster.delete(&gone);
    town
}

fn hasty(town: &Town) -> Settings {
    settings(town, |limits| Limits {
        absent_for: Duration::from_millis(300),
        resync_every: Duration::from_millis(200),
        ..limits
    })
}

#[tokio::test]
async fn a_request_that_two_lists_lack_which_show_others_is_over() {
    let mut town = one_deleted_unseen().await;
    town.cluster.create(for_alice());
    town.start_daemon_on(hasty(&town)).await;
    town.sees(ALICE, &["EXPIRED", "PENDING"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.daemon()
        .says("Access Request is no longer listed, closing its cards")
        .await;
    // A watch was granted again before the deciding list.
    assert!(town.cluster.calls()["WatchEvents"] >= 3);
    town.expects_warnings(&["Access Requests with open cards are missing from the list"]);
    town.finish().await;
}

#[tokio::test]
async fn lists_that_show_nothing_close_no_card() {
    let mut town = one_deleted_unseen().await;
    town.start_daemon_on(hasty(&town)).await;
    listed(&town, 8).await;
    town.both_see(&["PENDING"]).await;
    // The first listed request proves the permission.
    town.cluster.create(for_alice());
    town.sees(ALICE, &["EXPIRED", "PENDING"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.expects_warnings(&["Access Requests with open cards are missing from the list"]);
    town.finish().await;
}

#[tokio::test]
async fn lists_after_a_watch_that_is_no_longer_granted_close_no_card() {
    let mut town = one_deleted_unseen().await;
    town.cluster.create(for_alice());
    town.start_daemon_on(hasty(&town)).await;
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.cluster.faults(|faults| faults.deny_kinds = vec!["access_request"]);
    listed(&town, 8).await;
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.cluster.faults(|faults| faults.deny_kinds.clear());
    town.sees(ALICE, &["EXPIRED", "PENDING"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.expects_warnings(&["Access Requests with open cards are missing from the list"]);
    town.finish().await;
}

#[tokio::test]
async fn lists_that_lack_what_events_show_close_no_card() {
    let mut town = Town::build().await;
    town.start_daemon_on(hasty(&town)).await;
    let hidden = town.cluster.create(for_alice());
    town.cluster.faults(|faults| faults.hide_ids = vec![hidden.clone()]);
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.settled(&hidden).await;
    listed(&town, 8).await;
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.cluster.review(&hidden, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.expects_warnings(&["Access Requests with open cards are missing from the list"]);
    town.finish().await;
}
