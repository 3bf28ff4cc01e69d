//! Two and three replicas side by side, with faults on either side: one announcement and one current card each.

use crate::support::{ALICE, Daemon, Town, for_alice};
use crate::world::cluster::{ClusterState, Draft, Moment, Verdict};
use crate::world::tenant::{Fault, Rule};

/// Starts so many daemons in a town.
async fn with_replicas(count: usize) -> Town {
    let mut town = Town::start().await;
    for _ in 1..count {
        town.start_daemon().await;
    }
    let what = format!("{count} replicas watch");
    town.cluster.until(&what, |state| state.watches() == count).await;
    town
}

/// Returns who wrote the marks of a request's claim, in order.
fn owners(state: &ClusterState, id: &str) -> Vec<String> {
    let writes = state.writes.iter().filter(|write| write.id == id);
    let marks = writes.filter_map(|write| write.set.get("x_claim"));
    marks.map(|mark| mark.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn when_the_claimer_dies_before_it_delivers_the_other_takes_over() {
    for count in [2, 3] {
        let mut town = Town::start_patient().await;
        let posts = town.tenant.hold("POST", "/activities");
        let id = town.cluster.create(Draft::default());
        posts.reached(2).await;
        // It holds the claim, and the other replicas see it.
        let claimer = owners(&town.cluster.state(), &id);
        for _ in 1..count {
            town.start_daemon().await;
            town.daemon().says("Access Request is claimed by another replica").await;
        }
        town.kill_first_daemon();
        town.tenant.faults(|faults| faults.rules.clear());
        town.both_see(&["PENDING"]).await;
        town.settled(&id).await;
        let owners = owners(&town.cluster.state(), &id);
        assert_ne!(owners.first(), owners.last());
        assert_eq!(owners.first(), claimer.first());
        town.cluster.review(&id, "alice", Verdict::Approve, "ok");
        town.both_see(&["APPROVED"]).await;
        town.settled(&id).await;
        town.finish().await;
    }
}

#[tokio::test]
async fn while_the_claimer_lives_no_replica_takes_over() {
    let mut town = Town::start_patient().await;
    let posts = town.tenant.hold("POST", "/activities");
    let id = town.cluster.create(Draft::default());
    posts.reached(2).await;
    town.start_daemon().await;
    town.daemon().says("Access Request is claimed by another replica").await;
    // Three marks a term: two terms and more have passed.
    let marks = |state: &ClusterState| owners(state, &id).len() > 7;
    town.cluster.until("the claim was renewed again and again", marks).await;
    assert_eq!(posts.arrived(), 2);
    posts.open();
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    let mut owners = owners(&town.cluster.state(), &id);
    owners.dedup();
    assert_eq!(owners.len(), 1, "{owners:?}");
    town.finish().await;
}

#[tokio::test]
async fn when_the_claimer_dies_during_an_update_the_other_takes_over() {
    let mut town = Town::start_patient().await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    let edits = town.tenant.hold("PUT", "/activities");
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    edits.reached(2).await;
    town.start_daemon().await;
    town.daemon().says("Access Request is claimed by another replica").await;
    town.kill_first_daemon();
    town.tenant.faults(|faults| faults.rules.clear());
    town.both_see(&["DENIED"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn replicas_that_claim_at_the_same_moment_announce_once() {
    for count in [2, 3] {
        let town = with_replicas(count).await;
        let claims = town.cluster.hold("UpdatePluginData", Moment::Before, 0);
        let id = town.cluster.create(Draft::default());
        claims.reached(count).await;
        claims.open();
        town.both_see(&["PENDING"]).await;
        town.settled(&id).await;
        town.cluster.review(&id, "alice", Verdict::Approve, "ok");
        town.both_see(&["APPROVED"]).await;
        town.settled(&id).await;
        town.finish().await;
    }
}

#[tokio::test]
async fn three_replicas_survive_throttling_and_lost_answers_of_teleport() {
    let town = with_replicas(3).await;
    let throttled = Fault::Status(429, Some(1));
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(4, "POST", "/activities", throttled.clone())]);
    town.cluster.faults(|faults| {
        faults.lose_answers = 4;
        faults.lose_swaps = 4;
        faults.events_twice = true;
    });
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.both_see(&["APPROVED"]).await;
    town.settled(&id).await;
    assert_eq!(town.tenant.met(&throttled), 4);
    assert_eq!(
        (town.cluster.met("lose_answers"), town.cluster.met("lose_swaps")),
        (4, 4)
    );
    assert_eq!(town.cluster.met("events_twice"), 2);
    town.allows_warnings(&[
        "Service fails, retrying service=\"Teleport\"",
        "Access Request deferred",
        "Service throttles requests service=\"Bot connector\"",
        "Delivery failed, will retry",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn two_replicas_without_teleport_for_a_while_announce_once() {
    let town = with_replicas(2).await;
    town.stop_teleport().await;
    let id = town.cluster.create(Draft::default());
    let denied = town.cluster.create(for_alice());
    town.cluster
        .set_state(&denied, crate::world::cluster::State::Denied, "no");
    town.cluster.start_again().await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.cut_streams();
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.both_see(&["DENIED"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn replicas_die_one_after_another_and_the_last_one_notifies_every_recipient() {
    let mut town = Town::build().await;
    let id = town.cluster.create(for_alice());
    let post = town.tenant.hold("POST", "/activities");
    for calls in 1..4 {
        let daemon = Daemon::start(town.settings(&town.config()));
        post.reached(calls).await;
        daemon.kill();
    }
    town.tenant.faults(|faults| faults.rules.clear());
    town.start_daemon().await;
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let mut owners = owners(&town.cluster.state(), &id);
    owners.dedup();
    assert_eq!(owners.len(), 4, "{owners:?}");
    town.finish().await;
}
