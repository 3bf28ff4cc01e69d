//! Trouble on Teleport's side.

use std::time::Duration;

use teleport_msteams::config::Limits;

use crate::support::{ALICE, BOB, Daemon, Left, Town, for_alice};
use crate::world::cluster::{Draft, Moment, State, Verdict, rule};

#[tokio::test]
async fn a_stream_that_is_cut_before_or_after_any_event_loses_nothing() {
    let town = Town::start().await;
    let mut words = Vec::new();
    for cut in 0..6 {
        let cut_if = |now: usize| {
            if cut == now {
                town.cut_streams();
            }
        };
        let before = town.cluster.calls()["WatchEvents"];
        words.push("PENDING");
        cut_if(0);
        let id = town.cluster.create(Draft {
            approvals: 2,
            ..Draft::default()
        });
        cut_if(1);
        town.both_see(&words).await;
        cut_if(2);
        let review = format!("review {cut}");
        town.cluster.review(&id, "alice", Verdict::Approve, &review);
        cut_if(3);
        town.reads(ALICE, &review).await;
        town.reads(BOB, &review).await;
        cut_if(4);
        town.cluster.review(&id, "carol", Verdict::Approve, "ok");
        cut_if(5);
        *words.last_mut().unwrap() = "APPROVED";
        town.both_see(&words).await;
        town.settled(&id).await;
        assert!(town.cluster.calls()["WatchEvents"] > before);
    }
    town.finish().await;
}

#[tokio::test]
async fn a_server_that_is_away_for_longer_than_every_pause_is_reconnected() {
    let town = Town::start().await;
    let open = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&open).await;
    town.stop_teleport().await;
    // Pauses stopped growing several attempts ago.
    town.daemon().says_times(16, "Connection problem detected").await;
    town.cluster.review(&open, "alice", Verdict::Approve, "ok");
    town.cluster.create(Draft::default());
    town.cluster.start_again().await;
    town.both_see(&["APPROVED", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn duplicate_events_notify_no_recipient_twice() {
    let town = Town::start().await;
    town.cluster.faults(|faults| faults.events_twice = true);
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.both_see(&["PENDING"]).await;
    town.cluster.review(&id, "carol", Verdict::Approve, "one of two");
    town.reads(ALICE, "one of two").await;
    town.reads(BOB, "one of two").await;
    town.cluster.delete(&id);
    town.both_see(&["EXPIRED"]).await;
    let next = town.cluster.create(Draft::default());
    town.both_see(&["EXPIRED", "PENDING"]).await;
    town.settled(&next).await;
    assert_eq!(town.cluster.met("events_twice"), 4);
    town.finish().await;
}

#[tokio::test]
async fn events_of_several_requests_may_come_in_any_order() {
    let town = Town::start().await;
    let first = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&first).await;
    town.cluster.faults(|faults| faults.hold_events = true);
    for _ in 0..3 {
        town.cluster.create(Draft::default());
    }
    town.cluster.review(&first, "alice", Verdict::Deny, "no");
    assert_eq!(town.cluster.met("hold_events"), 4);
    town.cluster.release_events(|events| events.reverse());
    town.both_see(&["DENIED", "PENDING", "PENDING", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_late_old_state_sets_no_card_back() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    let old = town.cluster.request(&id).unwrap();
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.both_see(&["APPROVED"]).await;
    town.settled(&id).await;
    town.cluster.send_request(old);
    let next = town.cluster.create(Draft::default());
    town.both_see(&["APPROVED", "PENDING"]).await;
    town.settled(&next).await;
    town.finish().await;
}

#[tokio::test]
async fn states_of_a_request_in_reverse_order_are_repaired_by_the_next_listing() {
    let town = Town::start().await;
    let shown = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&shown).await;
    town.cluster.faults(|faults| faults.hold_events = true);
    town.cluster.review(&shown, "alice", Verdict::Approve, "ok");
    let new = town.cluster.create(Draft::default());
    town.cluster.review(&new, "alice", Verdict::Approve, "ok");
    town.cluster.release_events(|events| events.reverse());
    // The newest state of the new one is pending.
    town.both_see(&["APPROVED", "PENDING"]).await;
    town.cut_streams();
    town.both_see(&["APPROVED", "APPROVED"]).await;
    town.settled(&new).await;
    assert_eq!(town.cluster.met("hold_events"), 3);
    town.finish().await;
}

#[tokio::test]
async fn a_reader_that_is_cut_off_because_it_was_too_slow_loses_nothing() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.buffer = Some(3));
    town.start_daemon().await;
    // No reader runs in between, since nothing here awaits.
    let ids: Vec<_> = (0..7).map(|_| town.cluster.create(Draft::default())).collect();
    assert_eq!(town.cluster.met("buffer"), 1);
    town.both_see(&["PENDING"; 7]).await;
    for id in &ids {
        town.settled(id).await;
    }
    town.cluster
        .until("it watches again", |state| state.watches() == 1)
        .await;
    for id in &ids {
        town.cluster.review(id, "alice", Verdict::Approve, "ok");
    }
    assert_eq!(town.cluster.met("buffer"), 2);
    town.both_see(&["APPROVED"; 7]).await;
    town.expects_warnings(&["Connection problem detected, attempting to reconnect"]);
    town.finish().await;
}

#[tokio::test]
async fn events_that_arrive_while_five_thousand_requests_are_listed_are_newer_than_the_list() {
    let town = Town::build().await;
    let named = |id: &str, draft: Draft| Draft {
        id: Some(id.to_owned()),
        ..draft
    };
    for number in 0..5_000 {
        let mut request = town.cluster.create_quietly(Draft {
            state: State::Denied,
            ..Draft::default()
        });
        let id = format!("m{number:05}");
        request.metadata.as_mut().unwrap().name.clone_from(&id);
        town.cluster.state().requests.insert(id, request);
    }
    let first = town.cluster.create(named("a", for_alice()));
    let decided = town.cluster.create(named("z-decided", for_alice()));
    let ended = town.cluster.create(named("z-ended", for_alice()));
    let pages = town.cluster.hold("ListAccessRequests", Moment::Before, 25);
    let daemon = Daemon::start(town.settings(&town.config()));
    pages.reached(1).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.review(&first, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.cluster.set_state(&decided, State::Denied, "no");
    town.cluster.delete(&ended);
    town.cluster.create(for_alice());
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    pages.open();
    daemon.says("Plugin is ready").await;
    assert!(town.cluster.calls()["ListAccessRequests"] > 50);
    let last = town.cluster.create(for_alice());
    town.sees(ALICE, &["APPROVED", "PENDING", "PENDING"]).await;
    town.settled(&last).await;
    daemon.stop().await.unwrap();
    town.finish().await;
}

#[tokio::test]
async fn a_swap_that_always_loses_for_a_while_only_delays() {
    let town = Town::start().await;
    town.cluster.faults(|faults| faults.lose_swaps = 25);
    let id = town.cluster.create(Draft::default());
    town.daemon().says("Lost the claim to other writers, retrying").await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(town.cluster.met("lose_swaps"), 25);
    // The same while cards are already posted and only have to be recorded.
    let record = town.cluster.hold("UpdatePluginData", Moment::Before, 1);
    let second = town.cluster.create(for_alice());
    record.reached(1).await;
    town.cluster.faults(|faults| faults.lose_swaps = 10);
    record.open();
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.settled(&second).await;
    assert_eq!(town.cluster.met("lose_swaps"), 35);
    town.finish().await;
}

#[tokio::test]
async fn a_record_that_ended_before_the_deletion_came_is_not_needed() {
    let town = Town::start().await;
    let open = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    let approved = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.settled(&open).await;
    town.settled(&approved).await;
    town.cluster.faults(|faults| faults.hold_events = true);
    town.cluster.delete(&open);
    town.cluster.forget_plugin_data(&open);
    assert_eq!(town.cluster.met("hold_events"), 1);
    town.cluster.release_events(|_| ());
    town.sees(ALICE, &["EXPIRED", "PENDING"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.cluster.set_state(&approved, State::Approved, "ok");
    town.sees(ALICE, &["EXPIRED", "APPROVED"]).await;
    town.settled(&approved).await;
    town.cluster.forget_plugin_data(&approved);
    town.cluster.delete(&approved);
    let last = town.cluster.create(for_alice());
    town.sees(ALICE, &["EXPIRED", "APPROVED", "PENDING"]).await;
    town.settled(&last).await;
    town.leaves(Left::Unrecorded(3), "both records ended before their requests");
    town.finish().await;
}

#[tokio::test]
async fn calls_of_five_seconds_each_are_waited_for() {
    let mut town = Town::build().await;
    let settings = town.settings(&town.config());
    town.start_daemon_on(teleport_msteams::config::Settings {
        limits: Limits::default(),
        ..settings
    })
    .await;
    town.cluster.faults(|faults| faults.latency = Duration::from_secs(5));
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    // At least both writes were that slow, and neither timed out.
    assert!(town.cluster.writes(&id).len() >= 2);
    assert!(!town.daemon().log().contains("WARN"), "{}", town.daemon().log());
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_for_requests_it_waits_until_it_is_back() {
    let town = Town::start().await;
    let open = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&open).await;
    town.cluster.faults(|faults| {
        faults.deny_kinds = vec!["access_request"];
        faults.hide_requests = true;
    });
    town.cut_streams();
    town.daemon().says("our role may not watch access_request").await;
    town.cluster.review(&open, "alice", Verdict::Approve, "ok");
    town.cluster.create(Draft::default());
    // It may watch again before it may list.
    town.cluster.faults(|faults| faults.deny_kinds.clear());
    town.daemon()
        .says("Access Requests with open cards are missing from the list requests=1")
        .await;
    assert!(town.cluster.met("deny_kinds") > 0 && town.cluster.met("hide_requests") > 0);
    town.cluster.faults(|faults| faults.hide_requests = false);
    town.cut_streams();
    town.both_see(&["APPROVED", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_for_plugin_data_notifications_are_deferred_and_none_is_lost() {
    let town = Town::start_patient().await;
    town.cluster.faults(|faults| faults.deny_plugin_data = true);
    town.cluster.create(Draft::default());
    town.daemon().says("Access Request deferred").await;
    assert_eq!(town.tenant.messages(), 0);
    assert!(town.cluster.met("deny_plugin_data") > 0);
    town.cluster.faults(|faults| faults.deny_plugin_data = false);
    town.both_see(&["PENDING"]).await;
    // Revoked between a claim and its record.
    let posts = town.tenant.hold("POST", "/activities");
    let second = town.cluster.create(Draft::default());
    posts.reached(2).await;
    town.cluster.faults(|faults| faults.deny_plugin_data = true);
    posts.open();
    town.daemon().says("Could not record delivered cards").await;
    town.cluster.faults(|faults| faults.deny_plugin_data = false);
    town.settled(&second).await;
    town.both_see(&["PENDING", "PENDING"]).await;
    town.expects_warnings(&["Service fails, retrying service=\"Teleport\""]);
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_for_rules_the_table_decides_until_it_is_back() {
    let mut town = Town::build().await;
    let condition = "access_request.spec.roles.contains(\"dev\")";
    town.cluster.put_rule(rule("to-bob", condition, &[BOB]));
    town.start_daemon().await;
    town.cluster.create(for_alice());
    town.sees(BOB, &["PENDING"]).await;
    town.cluster.faults(|faults| {
        faults.deny_kinds = vec!["access_monitoring_rule"];
        faults.deny_rules = true;
    });
    town.cut_streams();
    town.daemon()
        .says("Grant the role list and read on access_monitoring_rule")
        .await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    assert!(town.cluster.met("deny_kinds") > 0);
    town.cluster.faults(|faults| {
        faults.deny_kinds.clear();
        faults.deny_rules = false;
    });
    let lists = town.cluster.calls()["ListAccessRequests"];
    town.cut_streams();
    let listed = |state: &crate::world::cluster::ClusterState| state.calls["ListAccessRequests"] > lists;
    town.cluster.until("everything is listed again", listed).await;
    town.cluster.create(for_alice());
    town.sees(BOB, &["PENDING", "PENDING"]).await;
    town.finish().await;
}
