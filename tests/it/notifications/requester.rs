//! What requesters see of their requests.

use std::time::Duration;

use crate::notifications::{ROBIN, config, town};
use crate::support::{ALICE, BOB, for_alice, newest};
use crate::world::cluster::{Draft, Moment, State, Verdict};

const ON: &str = "[notify]\nrequester = true";

#[tokio::test]
async fn the_requester_follows_the_request_and_gets_a_new_message_with_the_decision() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.both_see(&["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    let card = newest(&town.chat(ROBIN)[0]).to_string();
    assert!(
        card.contains("alice@example.com") && card.contains("bob@example.com"),
        "{card}"
    );
    assert!(
        !card.contains("Action.Execute") && !card.contains("tsh request review"),
        "{card}"
    );
    town.settled(&id).await;

    town.cluster.review(&id, "alice", Verdict::Approve, "ticket 7 exists");
    for who in [ALICE, BOB, ROBIN] {
        town.reads(who, "ticket 7 exists").await;
    }
    town.settled(&id).await;

    town.cluster.review(&id, "bob", Verdict::Approve, "go ahead");
    town.both_see(&["APPROVED"]).await;
    town.sees(ROBIN, &["APPROVED", "APPROVED"]).await;
    let decision = newest(&town.chat(ROBIN)[1]).to_string();
    for part in [
        "go ahead",
        "bob",
        &format!("tsh login --request-id={id}"),
        "Access until",
    ] {
        assert!(decision.contains(part), "{part} is not in {decision}");
    }
    town.settled(&id).await;
    // The Go plugin would draw the card of a reviewer into whatever stands in its key.
    let messages = town.cluster.plugin_data(&id)["messages"].split(',').count();
    assert_eq!(messages, 2, "only the reviewers' cards are in the Go plugin's key");
    town.finish().await;
}

#[tokio::test]
async fn a_denial_has_its_reason_and_no_instructions() {
    let (mut town, _) = town().await;
    let texts = "[notify.instructions]\n\"*\" = \"Open the console\"";
    town.start_daemon_with(&config(&town, &format!("{ON}\n{texts}"))).await;
    let denied = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    town.settled(&denied).await;
    town.cluster.review(&denied, "alice", Verdict::Deny, "use staging");
    town.sees(ALICE, &["DENIED"]).await;
    town.sees(ROBIN, &["DENIED", "DENIED"]).await;
    let message = newest(&town.chat(ROBIN)[1]).to_string();
    assert!(
        message.contains("use staging") && !message.contains("Open the console"),
        "{message}"
    );
    town.settled(&denied).await;

    let approved = town.cluster.create(for_alice());
    town.sees(ROBIN, &["DENIED", "DENIED", "PENDING"]).await;
    town.sees(ALICE, &["DENIED", "PENDING"]).await;
    town.settled(&approved).await;
    town.cluster.review(&approved, "alice", Verdict::Approve, "");
    town.sees(ALICE, &["DENIED", "APPROVED"]).await;
    town.sees(ROBIN, &["DENIED", "DENIED", "APPROVED", "APPROVED"]).await;
    let message = newest(&town.chat(ROBIN)[3]).to_string();
    assert!(
        message.contains("Open the console") && !message.contains("tsh login"),
        "{message}"
    );
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_expires_updates_the_card_without_a_new_message() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.delete(&id);
    town.sees(ALICE, &["EXPIRED"]).await;
    town.sees(ROBIN, &["EXPIRED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn the_trait_finds_the_requester_before_the_user_name() {
    let (mut town, robin) = town().await;
    let other = town.tenant.add_user(
        "Robin's second account",
        Some("second@example.com"),
        "second@example.com",
    );
    town.cluster
        .set_traits(ROBIN, false, &[("teams_user_id", &[&other.id])]);
    town.cluster
        .set_traits("robin", false, &[("teams_user_id", &[&robin.id])]);
    town.start_daemon_with(&config(&town, ON)).await;
    town.cluster.create(for_alice());
    town.sees("second@example.com", &["PENDING"]).await;
    town.sees(ALICE, &["PENDING"]).await;
    let without_address = Draft {
        user: "robin".to_owned(),
        ..for_alice()
    };
    town.cluster.create(without_address);
    town.sees(ROBIN, &["PENDING"]).await;
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_requester_without_an_address_is_one_line_in_the_log() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(Draft {
        user: "bot-deploy".to_owned(),
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    let line = "Requester has no address in Microsoft Teams and is not notified";
    town.daemon().says(line).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.settled(&id).await;
    assert_eq!(town.daemon().log().matches(line).count(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_requester_who_does_not_use_teams_delays_no_reviewer_and_causes_no_warning() {
    let (mut town, robin) = town().await;
    town.tenant.remove_user(&robin);
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon().says("Cannot notify the requester").await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.sees(ALICE, &["DENIED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_is_first_seen_resolved_notifies_no_requester() {
    let (mut town, _) = town().await;
    town.start_daemon_with(&config(&town, ON)).await;
    let resolved = town.cluster.create(Draft {
        state: State::Approved,
        ..for_alice()
    });
    let pending = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    town.settled(&pending).await;
    assert!(town.cluster.plugin_data(&resolved).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn a_decision_during_a_downtime_reaches_the_requester_once() {
    let (mut town, _) = town().await;
    let config = config(&town, ON);
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.start_daemon_with(&config).await;
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(ROBIN, &["APPROVED", "APPROVED"]).await;
    town.settled(&id).await;
    // Another process finds nothing to do.
    town.start_daemon_with(&config).await;
    town.daemon().says("No delivery is due").await;
    town.finish().await;
}

#[tokio::test]
async fn two_replicas_notify_the_requester_once_and_one_continues_for_the_other() {
    let (mut town, _) = town().await;
    let config = config(&town, ON);
    town.start_daemon_with(&config).await;
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.both_see(&["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_first_daemon();
    town.cluster.review(&id, "alice", Verdict::Approve, "one");
    for who in [ALICE, BOB, ROBIN] {
        town.reads(who, "one").await;
    }
    town.cluster.review(&id, "bob", Verdict::Approve, "two");
    town.both_see(&["APPROVED"]).await;
    town.sees(ROBIN, &["APPROVED", "APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_requester_who_is_also_named_as_a_reviewer_gets_the_requesters_card_only() {
    let (mut town, _) = town().await;
    let recipients = town.config_for(&format!("\"*\" = [\"{ALICE}\", \"{ROBIN}\"]"));
    town.start_daemon_with(&format!("{recipients}\n{ON}")).await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(ROBIN, &["PENDING"]).await;
    assert!(newest(&town.chat(ROBIN)[0]).to_string().contains("Your request for"));
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_reload_turns_the_notification_of_requesters_on_and_off() {
    let (mut town, _) = town().await;
    town.start_daemon().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let on = town.load(&config(&town, ON));
    town.daemon().reload(on).await;
    town.sees(ROBIN, &["PENDING"]).await;
    town.settled(&id).await;
    let off = town.load(&town.config());
    town.daemon().reload(off).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    // The card stays up to date; there is no new message.
    town.sees(ROBIN, &["APPROVED"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_whose_only_reviewer_is_the_requester_is_announced_to_no_one() {
    let (mut town, robin) = town().await;
    let recipients = town.config_for(&format!("\"*\" = \"{}\"", robin.id));
    town.start_daemon_with(&format!("{recipients}\n{ON}")).await;
    town.cluster.create(for_alice());
    town.daemon().says("No recipients to notify").await;
    assert!(town.chat(ROBIN).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn a_decision_before_the_requester_is_found_reaches_the_requester() {
    let (mut town, _) = town().await;
    let mut settings = town.settings(&config(&town, ON));
    settings.limits.look_up_patience = Duration::from_millis(100);
    town.start_daemon_on(settings).await;
    let gate = town.cluster.hold("GetUserLoginState", Moment::Before, 0);
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    gate.open();
    town.sees(ROBIN, &["APPROVED"]).await;
    town.finish().await;
}
