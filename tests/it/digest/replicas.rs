//! Other processes that update a shared card: a restarted one, and other replicas.

use std::slice::from_ref;
use std::time::Duration;

use teleport_msteams::config::Settings;
use tonic::Code;

use crate::digest::{
    all_are, all_denied, asked, config, hold_updates, pending_alone, recorded, shared_cards, sharing, town_above,
    with_replicas,
};
use crate::support::{ALICE, Row, Town, rows};
use crate::world::cluster::{ClusterState, Draft, Moment, State, Verdict};
use crate::world::tenant::{Fault, Rule};

#[tokio::test]
async fn a_restarted_daemon_knows_every_request_on_the_card() {
    let mut town = town_above(1).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..5).await;
    let members = sharing(&town, &ids);
    assert_eq!(members.len(), 4);
    town.cluster.set_state(&members[0], State::Denied, "no");
    town.shares(&channel, "one denied request", |rows| {
        rows.len() == 4 && rows.iter().filter(|row| row.word == "DENIED").count() == 1
    })
    .await;
    recorded(&town, &members[..1], "DENIED").await;
    town.kill_daemon();
    town.start_daemon_with(&config(&town, 1, from_ref(&channel))).await;
    town.cluster.review(&members[1], "alice", Verdict::Approve, "");
    let reviewed = |rows: &[Row]| {
        let states = rows.iter().map(|row| row.state.as_str());
        let mut states: Vec<_> = states.collect();
        states.sort_unstable();
        states
            == [
                "Denied · no reviews",
                "Pending · 1 review",
                "Pending · no reviews",
                "Pending · no reviews",
            ]
    };
    town.shares(&channel, "one review after the restart", reviewed).await;
    recorded(&town, &members[1..2], "PENDING/1").await;
    // The new process counts from zero, and begins its own shared card.
    let more = asked(&town, 5..7).await;
    assert_eq!(sharing(&town, &more).len(), 1);
    assert_eq!(shared_cards(&town, &channel).len(), 2);
    town.sees(&channel, &["PENDING", "?", "PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn every_request_stays_on_the_card_if_records_cannot_be_listed() {
    let mut town = town_above(1).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..4).await;
    let members = sharing(&town, &ids);
    town.sees(&channel, &["PENDING", "?"]).await;
    town.kill_daemon();
    town.cluster.set_state(&members[1], State::Denied, "no");
    // Each record is known only after a job for its request.
    town.cluster
        .faults(|faults| faults.fail_records = Some(Code::ResourceExhausted));
    town.expects_warnings(&["Could not list plugin data, reading records one by one"]);
    town.start_daemon_with(&config(&town, 1, from_ref(&channel))).await;
    town.shares(&channel, "one denied request of three", |rows| {
        rows.len() == 3 && rows.iter().all(|row| (row.word == "DENIED") == row.is_of(&members[1]))
    })
    .await;
    recorded(&town, &members[1..2], "DENIED").await;
    town.finish().await;
}

#[tokio::test]
async fn replicas_share_cards_without_losing_a_request_or_a_result() {
    let town = with_replicas(2).await;
    let ids = asked(&town, 0..12).await;
    let members = sharing(&town, &ids);
    assert!(members.len() >= 8, "each replica counts its own cards: {members:?}");
    for id in &members {
        town.cluster.set_state(id, State::Denied, "no");
    }
    all_denied(&town, &members).await;
    assert_eq!(pending_alone(&town).await, ids.len() - members.len());
    town.finish().await;
}

#[tokio::test]
async fn the_survivor_of_two_replicas_keeps_the_card_of_the_other() {
    let mut town = town_above(1).await;
    let channel = town.channel.clone();
    let before = asked(&town, 0..4).await;
    // The second replica never saw the first result.
    let members = sharing(&town, &before);
    town.cluster.set_state(&members[0], State::Denied, "no");
    recorded(&town, &members[..1], "DENIED").await;
    town.start_daemon_with(&config(&town, 1, from_ref(&channel))).await;
    town.kill_first_daemon();
    town.cluster.set_state(&members[2], State::Denied, "no");
    town.shares(&channel, "two denied requests of three", |rows| {
        rows.len() == 3 && rows.iter().filter(|row| row.word == "DENIED").count() == 2
    })
    .await;
    recorded(&town, &members[2..], "DENIED").await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_drawing_of_one_replica_that_arrives_late_is_corrected() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    let mut settings = town.settings(&config(&town, 1, from_ref(&channel)));
    settings.limits.microsoft_timeout = Duration::from_mins(10);
    // No claim is renewed or lost meanwhile.
    (settings.limits.claim_term, settings.limits.claim_stale) = (Duration::from_mins(2), Duration::from_mins(4));
    town.start_daemon_on(settings.clone()).await;
    let ids = asked(&town, 0..4).await;
    let members = sharing(&town, &ids);
    let [late] = hold_updates(&town);
    town.cluster.set_state(&members[0], State::Denied, "no");
    late.reached(1).await;
    // The first replica cannot claim the next one, so that the second one does.
    let claim = town.cluster.hold("UpdatePluginData", Moment::Before, 0);
    town.cluster.set_state(&members[1], State::Denied, "no");
    claim.reached(1).await;
    town.cluster.faults(|faults| faults.gates.clear());
    town.start_daemon_on(settings).await;
    let are_denied =
        |rows: &[Row]| rows.len() == 3 && rows.iter().all(|row| (row.word == "DENIED") != row.is_of(&members[2]));
    town.shares(&channel, "the drawing of the second replica", are_denied)
        .await;
    recorded(&town, &members[1..2], "DENIED").await;
    claim.open();
    late.open();
    recorded(&town, &members[..1], "DENIED").await;
    town.shares(&channel, "both results", are_denied).await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_resolved_line_that_changes_after_a_restart_keeps_the_other_lines() {
    let mut town = town_above(1).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..4).await;
    let members = sharing(&town, &ids);
    for id in &members {
        town.cluster.set_state(id, State::Approved, "ok");
    }
    town.shares(&channel, "three approvals", |rows| all_are(rows, &members, "APPROVED"))
        .await;
    recorded(&town, &members, "APPROVED").await;
    town.kill_daemon();
    town.start_daemon_with(&config(&town, 1, from_ref(&channel))).await;
    town.cluster.set_state(&members[0], State::Denied, "revoked");
    town.shares(&channel, "one revoked approval of three", |rows| {
        let is_right = |row: &Row| (row.word == "DENIED") == row.is_of(&members[0]);
        rows.iter().any(|row| row.word == "DENIED") && rows.iter().all(is_right)
    })
    .await;
    assert_eq!(rows(&shared_cards(&town, &channel)[0]).len(), 3);
    recorded(&town, &members[..1], "DENIED").await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn lines_say_the_same_after_a_restart() {
    let mut town = town_above(1).await;
    let channel = town.channel.clone();
    asked(&town, 0..1).await;
    let of_database = town.cluster.create(Draft {
        resources: vec![("db".to_owned(), "orders".to_owned())],
        ..Draft::default()
    });
    town.settled(&of_database).await;
    let other = asked(&town, 1..2).await;
    let head = |town: &Town| {
        let rows = rows(&shared_cards(town, &channel)[0]);
        rows.into_iter().find(|row| row.is_of(&of_database)).unwrap().head
    };
    let before = head(&town);
    assert!(before.contains("orders"), "{before}");
    town.allows_warnings(&["Could not read the names of requested resources; cards show their IDs"]);
    town.kill_daemon();
    town.start_daemon_with(&config(&town, 1, from_ref(&channel))).await;
    town.cluster.set_state(&other[0], State::Denied, "no");
    town.shares(&channel, "the other result", |rows| {
        rows.len() == 2 && rows.iter().all(|row| (row.word == "DENIED") == row.is_of(&other[0]))
    })
    .await;
    assert_eq!(head(&town), before);
    recorded(&town, &other, "DENIED").await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn every_request_stays_on_the_card_of_a_chat_with_two_ids() {
    let mut town = Town::build().await;
    town.tenant.faults(|faults| faults.no_chats_by_bots = true);
    let config = config(&town, 1, &[ALICE.to_owned()]);
    town.start_daemon_with(&config).await;
    let ids = asked(&town, 0..4).await;
    let members = sharing(&town, &ids);
    // The next update finds the chat again, under the ID of the connector.
    let fault = Fault::Error(403, "BotNotInConversationRoster");
    town.tenant.faults(|faults| {
        faults.no_chats_by_bots = false;
        faults.rules = vec![Rule::some(1, "PUT", "/activities/", fault)];
    });
    let are_denied = |count: usize| {
        let members = members.clone();
        move |rows: &[Row]| {
            let denied = &members[..count];
            let is_denied = |row: &Row| denied.iter().any(|id| row.is_of(id));
            rows.iter().filter(|row| row.word == "DENIED").count() == count
                && rows.iter().all(|row| (row.word == "DENIED") == is_denied(row))
        }
    };
    town.cluster.set_state(&members[0], State::Denied, "no");
    town.shares(ALICE, "one result", are_denied(1)).await;
    recorded(&town, &members[..1], "DENIED").await;
    town.kill_daemon();
    // The record of one request has the new ID, and those of the others have the old one.
    let is_new = |id: &String| town.cluster.plugin_data(id)["x_other_cards"].contains("\"a:");
    assert_eq!(members.iter().map(is_new).collect::<Vec<_>>(), [true, false, false]);
    town.start_daemon_with(&config).await;
    town.cluster.set_state(&members[1], State::Denied, "no");
    town.shares(ALICE, "two results of three", are_denied(2)).await;
    recorded(&town, &members[..2], "DENIED").await;
    town.sees(ALICE, &["PENDING", "?"]).await;
    town.finish().await;
}

/// A town with pending requests on a card that the new daemon does not know completely.
async fn restarted_without_records(settle: impl FnOnce(&mut Settings)) -> (Town, Vec<String>) {
    let mut town = town_above(1).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..5).await;
    let members = sharing(&town, &ids);
    town.kill_daemon();
    town.cluster
        .faults(|faults| faults.fail_records = Some(Code::ResourceExhausted));
    town.expects_warnings(&["Could not list plugin data, reading records one by one"]);
    let mut settings = town.settings(&config(&town, 1, from_ref(&channel)));
    settle(&mut settings);
    let reads = |state: &ClusterState| state.calls.get("GetPluginData").copied().unwrap_or_default();
    let before = reads(&town.cluster.state());
    town.start_daemon_on(settings).await;
    // The list, and the record of each request.
    let all = before + 1 + ids.len();
    town.cluster
        .until("every record was read", |state| reads(state) >= all)
        .await;
    (town, members)
}

#[tokio::test]
async fn records_that_cannot_be_listed_are_not_read_with_each_update() {
    let (town, members) = restarted_without_records(|_| ()).await;
    let channel = town.channel.clone();
    let before = town.cluster.met("fail_records");
    for (number, id) in members.iter().enumerate() {
        town.cluster.set_state(id, State::Denied, "no");
        let done = &members[..=number];
        town.shares(&channel, "one more result", |rows| {
            rows.len() == 4 && rows.iter().filter(|row| row.word == "DENIED").count() == done.len()
        })
        .await;
        recorded(&town, done, "DENIED").await;
    }
    assert_eq!(town.cluster.met("fail_records") - before, 1);
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn results_do_not_wait_for_a_list_of_records() {
    let (town, members) =
        restarted_without_records(|settings| settings.limits.teleport_timeout = Duration::from_mins(10)).await;
    let channel = town.channel.clone();
    town.cluster.faults(|faults| faults.fail_records = None);
    let list = town.cluster.hold("GetPluginData", Moment::Before, 0);
    for id in &members {
        town.cluster.set_state(id, State::Denied, "no");
    }
    town.shares(&channel, "every result", |rows| all_are(rows, &members, "DENIED"))
        .await;
    list.open();
    recorded(&town, &members, "DENIED").await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}
