//! The daemon dies at the worst moments, as by SIGKILL: nothing is finished, nothing is recorded.

use std::time::Duration;

use crate::support::{ALICE, BOB, Daemon, Left, Town, for_alice};
use crate::world::cluster::{Draft, Moment, Verdict};

impl Town {
    /// Releases every held call, since calls of a dead daemon never arrive, and starts the next daemon.
    async fn next_daemon(&mut self) {
        self.cluster.faults(|faults| faults.gates.clear());
        self.tenant.faults(|faults| faults.rules.clear());
        self.start_daemon().await;
    }
}

#[tokio::test]
async fn killed_before_the_claim_it_announces_at_the_next_start() {
    let mut town = Town::start().await;
    let claim = town.cluster.hold("UpdatePluginData", Moment::Before, 0);
    let id = town.cluster.create(Draft::default());
    claim.reached(1).await;
    town.kill_daemon();
    assert!(town.cluster.plugin_data(&id).is_empty());
    town.next_daemon().await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn killed_before_the_claim_is_confirmed_it_announces_after_the_claim_expires() {
    let mut town = Town::start().await;
    let claim = town.cluster.hold("UpdatePluginData", Moment::After, 0);
    let id = town.cluster.create(Draft::default());
    claim.reached(1).await;
    town.kill_daemon();
    assert!(town.cluster.plugin_data(&id)["x_claim"].starts_with("held"));
    town.next_daemon().await;
    town.daemon().says("Access Request is claimed by another replica").await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn killed_between_claim_and_delivery_it_notifies_each_recipient_once() {
    let mut town = Town::start_patient().await;
    let posts = town.tenant.hold("POST", "/activities");
    let id = town.cluster.create(Draft::default());
    posts.reached(2).await;
    town.kill_daemon();
    assert_eq!(town.tenant.messages(), 0);
    town.next_daemon().await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn killed_when_half_of_the_cards_are_recorded_it_posts_only_the_others() {
    let mut town = Town::start_patient().await;
    let bob = town.people["Bob"].id.clone();
    let post = town.tenant.hold("POST", &bob);
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    post.reached(1).await;
    let recorded =
        |state: &crate::world::cluster::ClusterState| state.plugin_data[&id]["msteams"].contains_key("messages");
    town.cluster.until("Alice's card is recorded", recorded).await;
    town.kill_daemon();
    town.next_daemon().await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

/// The one case in which a second card is allowed: the first one's id died with the daemon.
#[tokio::test]
async fn killed_between_delivery_and_record_it_posts_once_more_and_updates_the_new_card() {
    let mut town = Town::start_patient().await;
    let posts = town.tenant.hold("POST", "/activities");
    let id = town.cluster.create(Draft::default());
    posts.reached(2).await;
    let record = town.cluster.hold("UpdatePluginData", Moment::Before, 0);
    posts.open();
    town.both_see(&["PENDING"]).await;
    record.reached(1).await;
    town.kill_daemon();
    assert!(!town.cluster.plugin_data(&id).contains_key("messages"));
    town.next_daemon().await;
    town.both_see(&["PENDING", "PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.both_see(&["PENDING", "APPROVED"]).await;
    town.settled(&id).await;
    town.leaves(Left::Unrecorded(2), "their ids died with the daemon");
    town.finish().await;
}

#[tokio::test]
async fn killed_before_microsofts_answer_it_posts_once_more_and_updates_the_new_card() {
    let mut town = Town::start_patient().await;
    let posts = town.tenant.hold_answers("POST", "/activities");
    let id = town.cluster.create(Draft::default());
    posts.reached(2).await;
    town.both_see(&["PENDING"]).await;
    town.kill_daemon();
    town.next_daemon().await;
    town.both_see(&["PENDING", "PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.both_see(&["PENDING", "DENIED"]).await;
    town.leaves(Left::Unrecorded(2), "their ids died with the daemon");
    town.finish().await;
}

#[tokio::test]
async fn killed_before_its_record_is_confirmed_it_notifies_no_recipient_twice() {
    let mut town = Town::build().await;
    let mut settings = town.settings(&town.config());
    // The second write is the record, not a mark of the claim.
    settings.limits.claim_term = Duration::from_mins(1);
    town.start_daemon_on(settings).await;
    let record = town.cluster.hold("UpdatePluginData", Moment::After, 1);
    let id = town.cluster.create(for_alice());
    record.reached(1).await;
    town.kill_daemon();
    assert!(town.cluster.plugin_data(&id).contains_key("messages"));
    town.next_daemon().await;
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn killed_during_an_update_it_updates_after_the_next_start() {
    let mut town = Town::start_patient().await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    let edits = town.tenant.hold("PUT", "/activities");
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    edits.reached(2).await;
    town.kill_daemon();
    town.next_daemon().await;
    town.both_see(&["APPROVED"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn killed_before_an_update_is_recorded_it_updates_the_same_cards_again() {
    let mut town = Town::start_patient().await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    let edits = town.tenant.hold_answers("PUT", "/activities");
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    edits.reached(2).await;
    town.both_see(&["DENIED"]).await;
    town.kill_daemon();
    assert!(!town.cluster.plugin_data(&id).contains_key("resolution"));
    town.next_daemon().await;
    town.settled(&id).await;
    town.then_sees(ALICE, &["DENIED"]).await;
    town.then_sees(BOB, &["DENIED"]).await;
    assert_eq!(town.cluster.plugin_data(&id)["resolution"], "DENIED");
    town.finish().await;
}

#[tokio::test]
async fn killed_during_a_resync_it_announces_the_rest_at_the_next_start() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.page = Some(1));
    for _ in 0..3 {
        town.cluster.create(Draft::default());
    }
    let second_page = town.cluster.hold("ListAccessRequests", Moment::Before, 1);
    let daemon = Daemon::start(town.settings(&town.config()));
    second_page.reached(1).await;
    town.both_see(&["PENDING"]).await;
    let first = town.cluster.requests()[0].metadata.clone().unwrap().name;
    town.settled(&first).await;
    daemon.kill();
    town.next_daemon().await;
    town.both_see(&["PENDING"; 3]).await;
    town.finish().await;
}

#[tokio::test]
async fn killed_repeatedly_at_the_same_point_it_finally_notifies_each_recipient_once() {
    let mut town = Town::build().await;
    let id = town.cluster.create(Draft::default());
    for _ in 0..4 {
        let claim = town.cluster.hold("UpdatePluginData", Moment::Before, 0);
        town.start_daemon().await;
        claim.reached(1).await;
        town.kill_daemon();
        town.cluster.faults(|faults| faults.gates.clear());
    }
    town.next_daemon().await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_clock_that_differs_by_an_hour_changes_nothing() {
    let hour = Duration::from_hours(1);
    for (ahead, behind) in [(hour, Duration::ZERO), (Duration::ZERO, hour)] {
        let mut town = Town::start().await;
        let before = town.cluster.create(Draft::default());
        town.both_see(&["PENDING"]).await;
        town.settled(&before).await;
        town.cluster.faults(|faults| {
            faults.clock_ahead = ahead;
            faults.clock_behind = behind;
        });
        let after = town.cluster.create(Draft::default());
        let created = |id: &str| town.cluster.request(id).unwrap().spec.unwrap().created.unwrap().seconds;
        assert!(created(&after).abs_diff(created(&before)) > 3_000);
        town.both_see(&["PENDING", "PENDING"]).await;
        town.settled(&after).await;
        town.kill_daemon();
        town.cluster.review(&before, "alice", Verdict::Approve, "ok");
        town.start_daemon().await;
        town.both_see(&["APPROVED", "PENDING"]).await;
        town.cluster.delete(&after);
        town.both_see(&["APPROVED", "EXPIRED"]).await;
        town.finish().await;
    }
}
