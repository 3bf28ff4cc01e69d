//! Trouble on Microsoft's side.

use std::time::Duration;

use crate::microsoft::{FAILS, SLOW_DOWN, survives};
use crate::support::{ALICE, BOB, Left, Town, for_alice};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::{Fault, Rule};

#[tokio::test]
async fn throttling_until_a_date_is_respected() {
    survives(Fault::StatusUntil(429, 2), 2, &[SLOW_DOWN]).await;
}

#[tokio::test]
async fn a_storm_of_throttling_is_survived() {
    survives(Fault::Status(429, None), 30, &[SLOW_DOWN]).await;
}

#[tokio::test]
async fn a_call_that_fails_with_a_server_error_is_retried() {
    survives(Fault::Status(500, None), 5, &[FAILS]).await;
}

#[tokio::test]
async fn deliveries_survive_an_outage_of_many_calls() {
    survives(Fault::Status(503, None), 25, &[FAILS]).await;
}

#[tokio::test]
async fn an_answer_with_only_a_wrong_content_type_is_accepted() {
    survives(Fault::Typed("text/plain"), 2, &[]).await;
    survives(Fault::Typed("application/octet-stream"), 2, &[]).await;
}

#[tokio::test]
async fn an_edit_whose_answer_is_lost_repeatedly_leaves_one_card() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(12, "PUT", "/activities", Fault::ResetAfter)]);
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.settled(&id).await;
    let recorded =
        |state: &crate::world::cluster::ClusterState| state.plugin_data[&id]["msteams"].contains_key("resolution");
    town.cluster.until("the approval is recorded", recorded).await;
    // A repeated edit shows the same card again.
    for who in [ALICE, BOB] {
        town.sees_after(who, &["APPROVED"], &["APPROVED"]).await;
    }
    assert_eq!(town.tenant.met(&Fault::ResetAfter), 12);
    town.expects_warnings(&["Service fails, retrying service=\"Bot connector\""]);
    town.allows_warnings(&["Delivery failed, will retry"]);
    town.finish().await;
}

#[tokio::test]
async fn tokens_that_are_revoked_between_any_two_calls_are_replaced() {
    let town = Town::start_patient().await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    for number in 0..3 {
        let posts = town.tenant.hold("POST", "/activities");
        town.cluster.create(Draft::default());
        posts.reached(2).await;
        town.tenant.revoke_tokens();
        posts.open();
        town.both_see(&vec!["PENDING"; number + 2]).await;
        town.tenant.faults(|faults| faults.rules.clear());
    }
    let refused = |call: &&crate::world::tenant::Call| call.status == 401;
    assert!(town.tenant.calls().iter().filter(refused).count() >= 3);
    town.finish().await;
}

#[tokio::test]
async fn an_app_that_was_removed_and_reinstalled_by_others_keeps_its_card() {
    let town = Town::start().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let denied = Fault::Error(403, "Forbidden");
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/installedApps", denied.clone())]);
    town.tenant.uninstall(&town.people["Alice"]);
    town.cluster.review(&id, "carol", Verdict::Approve, "ok");
    town.daemon().says("Delivery failed, will retry").await;
    assert!(town.tenant.met(&denied) > 0);
    town.tenant.install(&town.people["Alice"]);
    town.sees(ALICE, &["APPROVED"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_team_that_removed_and_reinstalled_the_app_is_notified_again() {
    let mut town = Town::build().await;
    let config = town.config_for(&format!("\"*\" = \"{}\"", town.channel));
    let mut settings = town.settings(&config);
    settings.limits.refused_first_pause = Duration::from_hours(1);
    town.start_daemon_on(settings).await;
    let channel = town.channel.clone();
    town.cluster.create(Draft::default());
    town.sees(&channel, &["PENDING"]).await;
    town.tenant.set_team_installed("Security", false);
    let missed = town.cluster.create(Draft::default());
    town.daemon().says("Cannot notify recipient").await;
    town.settled(&missed).await;
    town.tenant.set_team_installed("Security", true);
    let last = town.cluster.create(Draft::default());
    town.sees(&channel, &["PENDING", "PENDING"]).await;
    town.settled(&last).await;
    // A refused delivery is retried after an hour or a restart.
    town.kill_daemon();
    town.start_daemon_with(&config).await;
    town.sees(&channel, &["PENDING"; 3]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_chat_that_moved_is_looked_up_again() {
    let town = Town::start().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.move_chat(&town.people["Alice"]);
    let next = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&next).await;
    town.cluster.review(&next, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    let lost = |call: &&crate::world::tenant::Call| call.method == "POST" && call.status == 404;
    assert_eq!(town.tenant.calls().iter().filter(lost).count(), 1);
    let why = "the first card stayed in the old chat, where its request left it alone";
    town.leaves(Left::Unrecorded(1), why);
    town.leaves(Left::Missing(1), why);
    town.finish().await;
}

#[tokio::test]
async fn a_card_in_a_chat_that_moved_is_posted_to_the_new_chat() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.move_chat(&town.people["Alice"]);
    town.cluster.review(&id, "carol", Verdict::Approve, "one of two");
    town.reads(ALICE, "one of two").await;
    town.settled(&id).await;
    town.cluster.review(&id, "dan", Verdict::Approve, "two of two");
    town.sees(ALICE, &["APPROVED"]).await;
    town.leaves(Left::Unrecorded(1), "the old chat cannot be reached any more");
    town.expects_warnings(&["Card was deleted, posting it again"]);
    town.finish().await;
}

#[tokio::test]
async fn one_unresponsive_recipient_delays_none_of_99_others() {
    let mut town = Town::build().await;
    let channels: Vec<_> = (0..99)
        .map(|number| town.tenant.add_channel("Security", &number.to_string()))
        .collect();
    let config = town.config_for(&format!("\"*\" = {:?}", [&[ALICE.to_owned()], &channels[..]].concat()));
    // No timeout ends within this test.
    let mut settings = town.settings(&config);
    settings.limits.microsoft_timeout = Duration::from_mins(10);
    town.start_daemon_on(settings).await;
    let alice = town.people["Alice"].id.clone();
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", &format!("{alice}_"), Fault::Hang)]);
    let id = town.cluster.create(Draft::default());
    for channel in &channels {
        town.sees(channel, &["PENDING"]).await;
    }
    assert_eq!(town.tenant.met(&Fault::Hang), 1);
    let recorded = |state: &crate::world::cluster::ClusterState| {
        let messages = state.plugin_data[&id]["msteams"].get("messages");
        messages.is_some_and(|messages| messages.split(',').count() == 99)
    };
    town.cluster.until("the 99 cards are recorded", recorded).await;
    town.kill_daemon();
    town.tenant.faults(|faults| faults.rules.clear());
    town.start_daemon_with(&config).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    for channel in &channels {
        town.sees(channel, &["PENDING"]).await;
    }
    town.finish().await;
}
