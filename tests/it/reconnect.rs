//! Outages of Teleport, restarts and crashes of the daemon.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use crate::support::{ALICE, BOB, Left, Town};
use crate::world::cluster::{Cluster, ClusterOptions, Draft, State, Verdict};
use crate::world::tenant::{Fault, Rule};

#[tokio::test]
async fn what_was_missed_while_teleport_was_away_is_announced_and_shown() {
    let town = Town::start().await;
    let approved = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&approved).await;
    town.stop_teleport().await;
    town.daemon()
        .says("Connection problem detected, attempting to reconnect")
        .await;
    town.cluster.review(&approved, "alice", Verdict::Approve, "ok");
    town.cluster.create(Draft::default());
    let never_seen = town.cluster.create(Draft::default());
    town.cluster.set_state(&never_seen, State::Denied, "no");
    town.cluster.start_again().await;
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.sees(BOB, &["APPROVED", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_cut_stream_loses_nothing() {
    let town = Town::start().await;
    let mut words = Vec::new();
    for _ in 0..4 {
        town.cut_streams();
        let id = town.cluster.create(Draft::default());
        words.push("PENDING");
        town.sees(ALICE, &words).await;
        town.sees(BOB, &words).await;
        town.cut_streams();
        town.cluster.review(&id, "alice", Verdict::Approve, "ok");
        *words.last_mut().unwrap() = "APPROVED";
        town.sees(ALICE, &words).await;
        town.sees(BOB, &words).await;
        town.settled(&id).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn a_restart_announces_what_was_missed_and_repeats_nothing() {
    let mut town = Town::start().await;
    let first = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&first).await;
    town.kill_daemon();
    town.cluster.review(&first, "alice", Verdict::Deny, "no");
    // Three pages, so that the list is read to its end.
    town.cluster.faults(|faults| faults.page = Some(1));
    town.cluster.create(Draft::default());
    town.cluster.create(Draft::default());
    town.start_daemon().await;
    town.sees(ALICE, &["DENIED", "PENDING", "PENDING"]).await;
    town.sees(BOB, &["DENIED", "PENDING", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn an_older_server_is_called_with_the_older_api() {
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.no_list_call = true);
    town.cluster.create(Draft::default());
    town.start_daemon().await;
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    assert_eq!(town.cluster.calls()["GetAccessRequestsV2"], 1);
    town.finish().await;
}

#[tokio::test]
async fn a_crash_between_claim_and_delivery_is_repaired_after_the_claim_expires() {
    let mut town = Town::start().await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/activities", Fault::Hang)]);
    let id = town.cluster.create(Draft::default());
    town.cluster
        .until("the request is claimed", |state| state.plugin_data.contains_key(&id))
        .await;
    town.kill_daemon();
    town.tenant.faults(|faults| faults.rules.clear());
    town.start_daemon().await;
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

/// Returns a town whose daemon was killed, and a request that was deleted since; its recorded end comes after so long.
async fn deleted_unseen(expires_in: Duration) -> (Town, String) {
    let mut town = Town::build().await;
    let id = town.cluster.create(Draft {
        expires_in,
        ..Draft::default()
    });
    town.start_daemon().await;
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    town.cluster.delete(&id);
    (town, id)
}

#[tokio::test]
async fn a_request_that_ended_while_the_daemon_was_down_is_closed_at_its_recorded_end() {
    let (mut town, id) = deleted_unseen(Duration::from_secs(3)).await;
    // Its end is in the record; until then its absence from the list proves nothing.
    let end = town.cluster.plugin_data(&id)["x_expires"]
        .parse::<jiff::Timestamp>()
        .unwrap();
    let rest = end.duration_since(teleport_msteams::clock::now());
    tokio::time::sleep(Duration::try_from(rest).unwrap_or_default() + Duration::from_millis(1)).await;
    town.start_daemon().await;
    town.sees(ALICE, &["EXPIRED"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_is_missing_is_closed_when_its_recorded_end_has_passed() {
    let (mut town, _) = deleted_unseen(Duration::from_secs(4)).await;
    town.start_daemon().await;
    town.daemon()
        .says("Access Requests with open cards are missing from the list requests=1")
        .await;
    // No event comes, and the timer of the next comparison is far away.
    town.sees(ALICE, &["EXPIRED"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_hidden_request_does_not_count_as_ended() {
    let mut town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    town.cluster.faults(|faults| faults.hide_requests = true);
    town.start_daemon().await;
    town.daemon()
        .says("Access Requests with open cards are missing from the list requests=1")
        .await;
    town.cluster.faults(|faults| faults.hide_requests = false);
    town.cut_streams();
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn the_last_update_does_not_need_the_record() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.forget_plugin_data(&id);
    town.cluster.delete(&id);
    town.sees(ALICE, &["EXPIRED"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.leaves(Left::Unrecorded(2), "the record ended before the request");
    town.finish().await;
}

#[tokio::test]
async fn the_last_update_does_not_need_the_record_although_calls_fail() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.faults(|faults| faults.fail_calls = 1);
    town.cluster.forget_plugin_data(&id);
    town.cluster.delete(&id);
    town.sees(ALICE, &["EXPIRED"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.leaves(Left::Unrecorded(2), "the record ended before the request");
    town.expects_warnings(&["Service fails, retrying service=\"Teleport\""]);
    town.allows_warnings(&["Access Request deferred"]);
    town.finish().await;
}

#[tokio::test]
async fn lost_swaps_and_lost_answers_notify_no_recipient_twice() {
    let town = Town::start().await;
    town.cluster.faults(|faults| faults.lose_swaps = 3);
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.faults(|faults| faults.lose_answers = 2);
    let second = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.sees(BOB, &["PENDING", "PENDING"]).await;
    town.settled(&second).await;
    town.cluster.faults(|faults| faults.lose_answers = 3);
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.sees(BOB, &["APPROVED", "PENDING"]).await;
    town.settled(&id).await;
    town.expects_warnings(&[
        "Service fails, retrying service=\"Teleport\"",
        "Access Request deferred",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn failing_calls_are_retried() {
    let town = Town::start().await;
    for calls in 1..6 {
        town.cluster.faults(|faults| faults.fail_calls = calls);
        let id = town.cluster.create(Draft::default());
        let words = vec!["PENDING"; usize::try_from(calls).unwrap()];
        town.sees(ALICE, &words).await;
        town.sees(BOB, &words).await;
        town.settled(&id).await;
    }
    town.expects_warnings(&[
        "Service fails, retrying service=\"Teleport\"",
        "Access Request deferred",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn two_replicas_announce_once_and_both_keep_watching() {
    let mut town = Town::start().await;
    town.start_daemon().await;
    let mut words = Vec::new();
    for _ in 0..5 {
        let id = town.cluster.create(Draft::default());
        words.push("PENDING");
        town.sees(ALICE, &words).await;
        town.sees(BOB, &words).await;
        town.settled(&id).await;
    }
    town.kill_daemon();
    let id = town.cluster.create(Draft::default());
    words.push("PENDING");
    town.sees(ALICE, &words).await;
    town.sees(BOB, &words).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    words[5] = "APPROVED";
    town.sees(ALICE, &words).await;
    town.sees(BOB, &words).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_stopped_cluster_refuses_connections_and_keeps_its_port() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    cluster.stop().await;
    let refused = TcpStream::connect(cluster.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let address: SocketAddr = cluster.address().parse().unwrap();
    let taken = TcpSocket::new_v4().unwrap().bind(address).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    cluster.start_again().await;
    TcpStream::connect(cluster.address()).await.unwrap();
}
