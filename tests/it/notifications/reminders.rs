//! Reminders of pending requests, and of access that ends.

use std::time::Duration;

use crate::notifications::{ROBIN, announce_earlier, config, town};
use crate::support::{ALICE, BOB, Daemon, Left, Town, for_alice, newest};
use crate::world::cluster::{Draft, Verdict};

const NOT_CARDS: &str = "reminders are not recorded as cards";

/// Returns the texts of the messages in a chat that show no state of a request.
fn reminders(town: &Town, who: &str) -> Vec<String> {
    let messages = town.chat(who).into_iter().map(|card| newest(&card).to_string());
    messages
        .filter(|text| text.contains("Reminder:") || text.contains("ends in"))
        .collect()
}

#[tokio::test]
async fn recipients_who_have_not_reviewed_are_reminded_once_at_each_time() {
    let (mut town, _) = town().await;
    let tables = "[notify]\nremind_after = [\"1500ms\", \"2s\"]";
    town.start_daemon_with(&config(&town, tables)).await;
    town.cluster.set_traits("alice", false, &[("email", &[ALICE])]);
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "first of two");
    for who in [ALICE, BOB] {
        town.reads(who, "first of two").await;
    }
    town.sees(BOB, &["PENDING", "?"]).await;
    town.sees(BOB, &["PENDING", "?", "?"]).await;
    let texts = reminders(&town, BOB);
    assert!(
        texts[0].contains("1 review so far") && texts[0].contains("Show card"),
        "{texts:?}"
    );
    assert!(reminders(&town, ALICE).is_empty(), "she has reviewed");
    town.cluster.review(&id, "bob", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED", "?", "?"]).await;
    town.leaves(Left::Unrecorded(2), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn a_channel_is_reminded_with_a_reply_below_the_card() {
    let (mut town, _) = town().await;
    let recipients = town.config_for(&format!("\"*\" = \"{}\"", town.channel));
    town.start_daemon_with(&format!("{recipients}\n[notify]\nremind_after = \"300ms\""))
        .await;
    let channel = town.channel.clone();
    town.cluster.create(for_alice());
    town.sees(&channel, &["PENDING"]).await;
    let card = town.chat(&channel).remove(0);
    town.daemon().says("Reminder sent").await;
    let replies = town.tenant.replies(&card);
    assert_eq!(replies.len(), 1);
    assert!(newest(&replies[0]).to_string().contains("Reminder:"));
    town.finish().await;
}

#[tokio::test]
async fn a_group_chat_is_reminded_with_a_message_that_links_to_the_card() {
    let (mut town, _) = town().await;
    let chat = town.tenant.add_group_chat(false, true);
    let recipients = town.config_for(&format!("\"*\" = \"{chat}\""));
    town.start_daemon_with(&format!("{recipients}\n[notify]\nremind_after = \"300ms\""))
        .await;
    let id = town.cluster.create(for_alice());
    town.sees(&chat, &["PENDING", "?"]).await;
    let texts = reminders(&town, &chat);
    let card = town.chat(&chat).remove(0);
    let link = format!("%40thread.v2/{}?context=", card.id);
    assert!(texts[0].contains("Show card") && texts[0].contains(&link), "{texts:?}");
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.sees(&chat, &["DENIED", "?"]).await;
    town.leaves(Left::Unrecorded(1), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn no_reminder_follows_the_decision() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, "[notify]\nremind_after = \"1500ms\""))
        .await;
    let resolved = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&resolved).await;
    town.cluster.review(&resolved, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    let pending = town.cluster.create(for_alice());
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    // The reminder of the first one would have come before.
    town.sees(ALICE, &["APPROVED", "PENDING", "?"]).await;
    let texts = reminders(&town, ALICE);
    assert!(texts[0].contains(&pending), "{texts:?}");
    town.leaves(Left::Unrecorded(1), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn reminders_that_were_due_during_a_downtime_are_one_message_and_replicas_send_it_once() {
    let (mut town, _) = town().await;
    let tables = config(
        &town,
        "[notify]\nremind_after = [\"300ms\", \"600ms\"]\nremind_before_expiry = \"167h\"",
    );
    town.start_daemon().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    announce_earlier(&town, &id);
    town.start_daemon_with(&tables).await;
    town.start_daemon_with(&tables).await;
    town.sees(ALICE, &["PENDING", "?"]).await;
    let sent = || {
        town.cluster
            .plugin_data(&id)
            .get("x_reminded")
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(sent(), "after:300,after:600");
    // A process that starts later sends nothing.
    town.start_daemon_with(&tables).await;
    town.daemon().says("No delivery is due").await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED", "?"]).await;
    town.leaves(Left::Unrecorded(1), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn recipients_are_reminded_before_the_request_expires() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, "[notify]\nremind_before_expiry = \"59m59s\""))
        .await;
    town.cluster.create(Draft {
        expires_in: Duration::from_hours(1) + Duration::from_secs(1),
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(ALICE, &["PENDING", "?"]).await;
    assert!(reminders(&town, ALICE)[0].contains("without a decision"));
    town.leaves(Left::Unrecorded(1), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn the_requester_is_notified_before_access_ends_with_a_link_to_request_it_again() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, "[notify]\naccess_ends = \"59m59s\""))
        .await;
    let id = town.cluster.create(Draft {
        access_for: Duration::from_hours(1) + Duration::from_secs(1),
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(ROBIN, &["?"]).await;
    let text = newest(&town.chat(ROBIN)[0]).to_string();
    assert!(text.contains("ends in") && text.contains("/web/requests/new"), "{text}");
    // Once, whichever process looks.
    town.start_daemon_with(&config(&town, "[notify]\naccess_ends = \"59m59s\""))
        .await;
    town.daemon().says("No delivery is due").await;
    assert_eq!(town.chat(ROBIN).len(), 1);
    town.leaves(Left::Unrecorded(1), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn a_reminder_that_microsoft_rejects_is_one_warning_and_the_others_arrive() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, "[notify]\nremind_after = \"1500ms\""))
        .await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.block(&town.people["Alice"]);
    town.sees(BOB, &["PENDING", "?"]).await;
    town.daemon().says("Could not send a reminder").await;
    town.daemon().says("Reminder sent").await;
    town.leaves(Left::Unrecorded(1), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn the_requester_is_not_reminded_although_the_go_plugin_asked_them() {
    let (mut town, _) = town().await;
    let recipients = format!("\"*\" = [\"{ALICE}\", \"{ROBIN}\"]");
    let other = Draft {
        user: "someone@example.com".to_owned(),
        ..for_alice()
    };
    town.start_daemon_with(&town.config_for(&recipients)).await;
    let id = town.cluster.create(other);
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    // A record as the Go plugin writes it, whose requester is among the recipients.
    let mut data = town.cluster.plugin_data(&id);
    data.retain(|key, _| !key.starts_with("x_"));
    town.cluster.set_plugin_data(&id, data);
    let mut request = town.cluster.request(&id).unwrap();
    let spec = request.spec.as_mut().unwrap();
    spec.user = ROBIN.to_owned();
    spec.created.as_mut().unwrap().seconds -= 7_200;
    town.cluster.put_request(request);
    town.start_daemon_with(&format!(
        "{}\n[notify]\nremind_after = \"1h\"",
        town.config_for(&recipients)
    ))
    .await;
    town.sees_after(ALICE, &["PENDING"], &["PENDING", "?"]).await;
    town.daemon().says("Reminder sent").await;
    town.sees_after(ROBIN, &["PENDING"], &["PENDING"]).await;
    town.leaves(Left::Unrecorded(1), NOT_CARDS);
    town.finish().await;
}

#[tokio::test]
async fn a_stop_finishes_the_reminders_that_are_recorded_as_sent() {
    let (town, _) = town().await;
    let daemon = Daemon::start(town.settings(&config(&town, "[notify]\nremind_after = \"1s\"")));
    daemon.says("Plugin is ready").await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    let gate = town.tenant.hold("POST", "/activities");
    gate.reached(2).await;
    let (stopped, ()) = tokio::join!(daemon.stop(), async { gate.open() });
    stopped.unwrap();
    for who in [ALICE, BOB] {
        town.sees(who, &["PENDING", "?"]).await;
    }
    town.leaves(Left::Unrecorded(2), NOT_CARDS);
    town.finish().await;
}
