//! Other processes that update a shared card: a restarted one, and other replicas.

use std::slice::from_ref;

use tonic::Code;

use crate::digest::{
    all_denied, asked, config, hold_updates, pending_alone, recorded, shared_cards, sharing, town_above, with_replicas,
};
use crate::support::Row;
use crate::world::cluster::{State, Verdict};

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
    let town = with_replicas(1).await;
    let ids = asked(&town, 0..6).await;
    let members = sharing(&town, &ids);
    let [held] = hold_updates(&town);
    town.cluster.set_state(&members[0], State::Denied, "no");
    held.reached(1).await;
    for id in &members[1..] {
        town.cluster.set_state(id, State::Denied, "no");
        town.claimed(id).await;
    }
    held.open();
    all_denied(&town, &members).await;
    assert_eq!(pending_alone(&town).await, ids.len() - members.len());
    town.finish().await;
}
