//! Held announcements.

use std::time::Duration;

use crate::notifications::{ROBIN, config, town};
use crate::support::{ALICE, for_alice};
use crate::world::cluster::{State, Verdict};

#[tokio::test]
async fn a_request_that_is_resolved_while_it_is_held_is_never_announced() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, "[notify]\nrequester = true\ngrace = \"1h\""))
        .await;
    let id = town.cluster.create(for_alice());
    town.daemon().says("Announcement is held").await;
    town.cluster.set_state(&id, State::Approved, "automatic review");
    // Requests that are turned to after the first are announced, and it still is not.
    let off = town.load(&town.config());
    town.daemon().says("No delivery is due").await;
    town.daemon().reload(off).await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    assert!(town.cluster.plugin_data(&id).is_empty(), "nothing is recorded");
    assert!(town.chat(ROBIN).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_is_still_pending_is_announced_after_the_time() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, "[notify]\ngrace = \"400ms\""))
        .await;
    let begun = std::time::Instant::now();
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    // The clocks of the cluster and the daemon are the same, so only the resolution of its times is missing.
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_was_created_before_the_start_is_not_held_again() {
    let (mut town, _) = town().await;
    let id = town.cluster.create(for_alice());
    town.cluster.edit(&id, |spec| {
        let created = spec.created.as_mut().unwrap();
        created.seconds -= 7_200;
    });
    town.start_daemon_with(&config(&town, "[notify]\ngrace = \"1h\"")).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.finish().await;
}
