//! Shared cards while Microsoft is slow or fails.

use std::slice::from_ref;
use std::time::Duration;

use crate::digest::{
    all_are, all_denied, ask, asked, config, hold_updates, pending_alone, recorded, shared_cards, sharing,
    start_patient_daemon, town_above, with_replicas,
};
use crate::support::{ALICE, Left, Row, Town};
use crate::world::cluster::{State, Verdict};
use crate::world::tenant::{Chance, Fault, Rule};

#[tokio::test]
async fn an_unresponsive_conversation_does_not_delay_the_shared_card_of_another() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    start_patient_daemon(&mut town, 1, &[channel.clone(), ALICE.to_owned()]).await;
    let ids = asked(&town, 0..3).await;
    town.shares(&channel, "two requests", |rows| rows.len() == 2).await;
    let members = sharing(&town, &ids);
    let alice = format!("{}_", town.people["Alice"].id);
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("PUT", &alice, Fault::Hang)]);
    // The second resolution waits behind the first one at Alice's card only.
    for (number, id) in members.iter().enumerate() {
        town.cluster.set_state(id, State::Denied, "no");
        town.shares(&channel, "the resolution", |rows| {
            rows.iter().filter(|row| row.word == "DENIED").count() == number + 1
        })
        .await;
    }
    town.kill_daemon();
}

#[tokio::test]
async fn changes_during_an_update_do_not_cost_one_each() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    start_patient_daemon(&mut town, 1, from_ref(&channel)).await;
    let ids = asked(&town, 0..5).await;
    let members = sharing(&town, &ids);
    let versions = shared_cards(&town, &channel)[0].history.len();
    let [held] = hold_updates(&town);
    town.cluster.set_state(&members[0], State::Denied, "no");
    held.reached(1).await;
    for id in &members[1..] {
        town.cluster.set_state(id, State::Denied, "no");
        town.claimed(id).await;
    }
    held.open();
    town.shares(&channel, "four denied requests", |rows| {
        all_are(rows, &members, "DENIED")
    })
    .await;
    recorded(&town, &members, "DENIED").await;
    let updates = shared_cards(&town, &channel)[0].history.len() - versions;
    assert!(updates < members.len(), "{updates} updates");
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_is_resolved_before_it_is_announced_leaves_no_line() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    start_patient_daemon(&mut town, 1, from_ref(&channel)).await;
    let ids = asked(&town, 0..4).await;
    let members = sharing(&town, &ids);
    let [first, second] = hold_updates(&town);
    town.cluster.set_state(&members[0], State::Denied, "no");
    first.reached(1).await;
    // These changes wait for the first update, and the second one shows them all.
    for id in &members[1..] {
        town.cluster.set_state(id, State::Denied, "no");
        town.claimed(id).await;
    }
    let late = ask(&town, 4);
    town.claimed(&late).await;
    first.open();
    second.reached(1).await;
    town.cluster.set_state(&late, State::Denied, "no");
    town.settled(&late).await;
    second.open();
    town.shares(&channel, "three denied requests", |rows| {
        all_are(rows, &members, "DENIED")
    })
    .await;
    recorded(&town, &members, "DENIED").await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.finish().await;
}

#[tokio::test]
async fn failed_updates_lose_no_request() {
    let town = town_above(1).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..4).await;
    let members = sharing(&town, &ids);
    let fails = |times, fault| {
        town.tenant
            .faults(|faults| faults.rules = vec![Rule::some(times, "PUT", "/activities/", fault)]);
    };
    fails(6, Fault::Error(503, "ServiceUnavailable"));
    town.cluster.set_state(&members[0], State::Denied, "no");
    town.daemon().says("Delivery failed, will retry").await;
    town.cluster.review(&members[1], "alice", Verdict::Approve, "");
    let late = ask(&town, 4);
    let states = |rows: &[Row]| {
        let state = |id: &str| rows.iter().find(|row| row.is_of(id)).map(|row| row.state.clone());
        [&members[0], &members[1], &members[2], &late].map(|id| state(id).unwrap_or_default())
    };
    town.shares(&channel, "the result, the review and the new request", |rows| {
        let expected = [
            "Denied · no reviews",
            "Pending · 1 review",
            "Pending · no reviews",
            "Pending · no reviews",
        ];
        states(rows) == expected
    })
    .await;
    town.settled(&late).await;
    fails(1, Fault::Status(429, Some(3)));
    town.cluster.set_state(&late, State::Denied, "no");
    town.shares(&channel, "both results", |rows| {
        let expected = [
            "Denied · no reviews",
            "Pending · 1 review",
            "Pending · no reviews",
            "Denied · no reviews",
        ];
        states(rows) == expected
    })
    .await;
    recorded(&town, &[members[0].clone(), late], "DENIED").await;
    recorded(&town, &members[1..2], "PENDING/1").await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.allows_warnings(&[
        "Service fails, retrying service=\"Bot connector\"",
        "Service throttles requests service=\"Bot connector\"",
        "Delivery failed, will retry",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn a_shared_card_that_microsoft_refuses_at_first_is_posted_later() {
    let town = town_above(1).await;
    let channel = town.channel.clone();
    asked(&town, 0..1).await;
    let fault = Fault::Error(503, "ServiceUnavailable");
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(8, "POST", "/activities", fault)]);
    let ids = asked(&town, 1..4).await;
    town.shares(&channel, "three requests", |rows| all_are(rows, &ids, "PENDING"))
        .await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.allows_warnings(&[
        "Service fails, retrying service=\"Bot connector\"",
        "Delivery failed, will retry",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn shared_cards_are_complete_in_the_end_whatever_fails() {
    let town = with_replicas(1).await;
    let ids = asked(&town, 0..10).await;
    let members = sharing(&town, &ids);
    let failures = vec![
        Fault::Error(503, "ServiceUnavailable"),
        Fault::Status(429, Some(1)),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Slow(Duration::from_millis(100)),
    ];
    town.tenant
        .faults(|faults| faults.chance = Some(Chance::new(0.4, failures, 7)));
    for id in &members {
        town.cluster.review(id, "alice", Verdict::Approve, "");
        town.cluster.set_state(id, State::Denied, "no");
    }
    all_denied(&town, &members).await;
    town.allows_warnings(&[
        "Service fails, retrying service=\"Bot connector\"",
        "Service throttles requests service=\"Bot connector\"",
        "Delivery failed, will retry",
    ]);
    assert_eq!(pending_alone(&town).await, ids.len() - members.len());
    town.finish().await;
}

#[tokio::test]
async fn a_replacement_that_is_not_posted_does_not_count() {
    let town = town_above(3).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..1).await;
    town.sees(&channel, &["PENDING"]).await;
    town.tenant.delete_card(&town.chat(&channel)[0].id);
    // Each delivery has five attempts.
    let fault = Fault::Error(503, "ServiceUnavailable");
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(10, "POST", "/activities", fault)]);
    town.cluster.review(&ids[0], "alice", Verdict::Approve, "");
    town.daemon().says("Card was deleted, posting it again").await;
    let both = |log: &str| log.matches("Successfully posted to MS Teams").count() == 2;
    town.daemon().until("the replacement", both).await;
    town.settled(&ids[0]).await;
    // The channel got two cards.
    assert!(sharing(&town, &asked(&town, 1..2).await).is_empty());
    town.sees(&channel, &["PENDING", "PENDING", "PENDING"]).await;
    town.allows_warnings(&[
        "Service fails, retrying service=\"Bot connector\"",
        "Delivery failed, will retry",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn a_card_that_is_behind_is_drawn_after_a_listing_although_requests_cannot_be_listed() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    let mut settings = town.settings(&config(&town, 1, from_ref(&channel)));
    settings.limits.refused_first_pause = Duration::from_hours(1);
    town.start_daemon_on(settings).await;
    let ids = asked(&town, 0..3).await;
    let members = sharing(&town, &ids);
    // The delivery of the request fails, and then the one that draws the card again.
    let fault = Fault::Error(403, "NotEnoughPermissions");
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(2, "PUT", "/activities/", fault.clone())]);
    town.cluster.set_state(&members[0], State::Denied, "no");
    town.daemon()
        .until("both failed", |_| town.tenant.met(&fault) == 2)
        .await;
    town.settled(&members[0]).await;
    town.cluster.faults(|faults| faults.fail_lists = 1_000);
    town.cut_streams();
    town.shares(&channel, "the result", |rows| {
        rows.len() == 2 && rows.iter().filter(|row| row.word == "DENIED").count() == 1
    })
    .await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.leaves(Left::Stale(1), "Microsoft refused the delivery of the request");
    town.kill_daemon();
}
