//! What a press leads to, and what the person who pressed the button sees.

use std::time::Duration;

use serde_json::json;

use super::{APPROVED, DENIED, Desk, answered, refused, shows};
use crate::support::{ALICE, for_alice};
use crate::world::cluster::{Draft, Moment, Verdict};
use crate::world::tenant::{Fault, Rule};

#[tokio::test]
async fn an_approval_is_one_review_by_the_person_and_updates_the_card() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let answer = desk.press("Alice", "approve", None).await;
    shows(&answer, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id), [("alice".to_owned(), APPROVED, String::new())]);
    assert_eq!(desk.town.cluster.reviews(&id)[0].submitted_by, "teleport-msteams");
    let log = desk.town.daemon().log();
    let line = log.lines().find(|line| line.contains("Review button pressed")).unwrap();
    let person = &desk.town.people["Alice"].id;
    let parts = [
        "INFO",
        person,
        "user=\"alice\"",
        &id,
        "verb=\"approve\"",
        "outcome=\"submitted\"",
        "took=",
    ];
    for part in parts {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    desk.town.finish().await;
}

#[tokio::test]
async fn a_denial_contains_the_typed_reason() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let answer = desk.press("Bob", "deny", Some(" not at night\u{7} ")).await;
    shows(&answer, "Denied");
    desk.town.sees(ALICE, &["DENIED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(
        desk.reviews(&id),
        [("bob".to_owned(), DENIED, "not at night".to_owned())]
    );
    desk.town.finish().await;
}

#[tokio::test]
async fn the_first_of_two_approvals_shows_the_pending_card_with_the_review() {
    let desk = Desk::start().await;
    let id = desk
        .asked_for(Draft {
            approvals: 2,
            ..for_alice()
        })
        .await;
    let answer = desk.press("Alice", "approve", None).await;
    shows(&answer, "Pending");
    let card = answer.card().unwrap().to_string();
    assert!(
        card.contains("Approved by alice, ") && card.contains(" UTC, in Teams"),
        "{card}"
    );
    shows(&desk.press("Bob", "approve", None).await, "Approved");
    desk.town.sees_after(ALICE, &["PENDING"], &["APPROVED"]).await;
    desk.town.settled(&id).await;
    desk.town.finish().await;
}

#[tokio::test]
async fn teleport_decides_who_may_review() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    desk.town.cluster.bar_reviewer("bob");
    let answer = desk.press("Bob", "approve", None).await;
    refused(&answer, "does not allow your user to review this request");
    desk.town.cluster.admit_reviewer("bob");
    desk.town.cluster.set_submit_for_users(&["alice"]);
    refused(&desk.press("Bob", "approve", None).await, "submit_for_users");
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id).len(), 1);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_request_that_is_over_is_not_reviewed() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    desk.town.cluster.review(&id, "carol", Verdict::Deny, "no");
    desk.town.sees(ALICE, &["DENIED"]).await;
    desk.town.settled(&id).await;
    refused(&answered(desk.pressing_old("Alice", "approve")).await, "already denied");
    desk.town.cluster.delete(&id);
    desk.town.cluster.set_traits("eve", false, &[]);
    let gone = answered(desk.pressing_old("Alice", "approve")).await;
    refused(&gone, "has expired or was deleted");
    assert_eq!(desk.town.cluster.calls_of("SubmitAccessReview"), 0);
    desk.town.finish().await;
}

#[tokio::test]
async fn requesters_cannot_review_their_own_requests() {
    let desk = Desk::start().await;
    let draft = Draft {
        user: "eve".to_owned(),
        ..for_alice()
    };
    desk.asked_for(draft).await;
    refused(&desk.press("Eve", "approve", None).await, "your own request");
    assert_eq!(desk.town.cluster.calls_of("SubmitAccessReview"), 0);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_person_without_exactly_one_user_learns_what_to_ask_for() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let (dan, carol) = (desk.town.people["Dan"].id.clone(), desk.town.people["Carol"].id.clone());
    desk.town
        .cluster
        .set_traits("dan", false, &[("teams_user_id", &["someone else"])]);
    let answer = desk.press("Dan", "approve", None).await;
    refused(&answer, "not linked to a Teleport user");
    refused(&answer, &format!("add {dan} to the trait teams_user_id"));
    desk.town
        .cluster
        .set_traits("robin", false, &[("teams_user_id", &[&carol, "x"])]);
    refused(&desk.press("Carol", "approve", None).await, "several Teleport users");
    assert_eq!(desk.town.cluster.calls_of("SubmitAccessReview"), 0);
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_user_who_was_deleted_must_log_in() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    desk.town.cluster.bar_reviewer("bob");
    refused(&desk.press("Bob", "approve", None).await, "does not allow your user");
    // The daemon still knows which user it was.
    desk.town.cluster.delete_user("bob");
    refused(&desk.press("Bob", "approve", None).await, "Log in to Teleport");
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn the_name_of_a_member_counts_only_where_it_is_allowed() {
    let desk = Desk::start_with_names(|town| town.cluster.set_traits(ALICE, false, &[])).await;
    let id = desk.asked().await;
    let guest = desk.town.tenant.add_guest("Alice", ALICE);
    let press = desk.town.tenant.press(&guest, &desk.card(ALICE), "approve", &[]);
    refused(&answered(press).await, "not linked to a Teleport user");
    // The body says that Bob is Alice, and only Graph is asked.
    let press = desk.pressing("Bob", "approve", None).set("from.name", json!(ALICE));
    let press = press.set("from.userPrincipalName", json!(ALICE));
    refused(&answered(press).await, "not linked to a Teleport user");
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id), [(ALICE.to_owned(), APPROVED, String::new())]);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_name_that_belongs_to_another_person_does_not_count() {
    // Someone else had this name before.
    let other: &[(&str, &[&str])] = &[("teams_user_id", &["a36aec2e-f11c-4219-b79a-19ffff57de70"])];
    let desk = Desk::start_with_names(|town| town.cluster.set_traits(ALICE, false, other)).await;
    let id = desk.asked().await;
    refused(
        &desk.press("Alice", "approve", None).await,
        "not linked to a Teleport user",
    );
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn without_the_permission_to_recognize_guests_no_name_counts() {
    let mut desk = Desk::build().await;
    desk.town.cluster.set_traits("alice", false, &[]);
    desk.town.cluster.set_traits(ALICE, false, &[]);
    let settings = desk.town.settings(&desk.config("allow_email_username_match = true"));
    desk.start_daemon_on(settings).await;
    let id = desk.asked().await;
    refused(
        &desk.press("Alice", "approve", None).await,
        "not linked to a Teleport user",
    );
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn an_old_cluster_gets_no_buttons_and_rejects_presses_with_its_own_sentence() {
    let mut desk = Desk::build().await;
    desk.town.cluster.set_version("18.10.4");
    desk.town.cluster.faults(|faults| faults.old_server = true);
    let settings = desk.town.settings(&desk.config(""));
    desk.town.start_daemon_on(settings).await;
    desk.town.tenant.set_messaging_endpoint(&desk.url());
    desk.town
        .daemon()
        .says("The cluster does not accept reviews from Teams")
        .await;
    let id = desk.town.cluster.create(for_alice());
    desk.town.sees(ALICE, &["PENDING"]).await;
    desk.town.settled(&id).await;
    assert!(!format!("{:?}", desk.card(ALICE)).contains("Action.Execute"));
    refused(&answered(desk.forged("Alice", &id)).await, "from version 18.11 on");
    desk.town.finish().await;
}

#[tokio::test]
async fn long_term_requests_have_no_buttons_and_are_reviewed_in_teleport() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    desk.town.cluster.edit(&id, |spec| spec.request_kind = 2);
    desk.town.then_sees(ALICE, &["PENDING"]).await;
    assert!(!desk.card(ALICE).history[1].to_string().contains("Action.Execute"));
    let answer = answered(desk.forged("Alice", &id)).await;
    refused(&answer, "with an Access List");
    refused(&answer, &format!("/web/requests/{id}"));
    assert_eq!(desk.town.cluster.calls_of("SubmitAccessReview"), 0);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_missing_permission_to_find_users_has_its_own_sentence_and_hint() {
    let desk = Desk::start().await;
    desk.asked().await;
    desk.town.cluster.faults(|faults| faults.deny_users = true);
    refused(
        &desk.press("Alice", "approve", None).await,
        "lacks a permission that reviews need",
    );
    desk.town.daemon().says("Grant the role list and read on user").await;
    desk.town.finish().await;
}

#[tokio::test]
async fn people_learn_that_teleport_does_not_answer() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    desk.town.stop_teleport().await;
    refused(&desk.press("Alice", "approve", None).await, "Press the button again");
    desk.town.cluster.start_again().await;
    desk.town.daemon().says_next("Watcher connected").await;
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    desk.town.finish().await;
}

#[tokio::test]
async fn a_slow_review_is_confirmed_by_a_message_to_the_person_alone() {
    let desk = Desk::start_with("", |mut settings| {
        settings.limits.teleport_timeout = Duration::from_secs(15);
        settings
    });
    let desk = desk.await;
    let id = desk.asked().await;
    let gate = desk.town.cluster.hold("SubmitAccessReview", Moment::Before, 0);
    refused(&desk.press("Bob", "approve", None).await, "being processed");
    // A repeated press changes nothing.
    refused(&desk.press("Bob", "approve", None).await, "being processed");
    gate.open();
    desk.town.sees(ALICE, &["APPROVED"]).await;
    let bob = &desk.town.people["Bob"];
    let text = format!("Access Request {id}: Your approval was submitted.");
    assert_eq!(desk.texts(bob, 1).await, [text]);
    assert!(desk.texts(&desk.town.people["Alice"], 0).await.is_empty());
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id).len(), 1);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_result_that_cannot_be_sent_is_logged() {
    let desk = Desk::start_with("", |mut settings| {
        settings.limits.teleport_timeout = Duration::from_secs(15);
        settings
    });
    let desk = desk.await;
    let id = desk.asked().await;
    let gate = desk.town.cluster.hold("SubmitAccessReview", Moment::Before, 0);
    refused(&desk.press("Alice", "deny", None).await, "being processed");
    let blocked = Rule::every("POST", "/activities", Fault::Error(403, "MessageWritesBlocked"));
    desk.town.tenant.faults(|faults| faults.rules.push(blocked));
    gate.open();
    desk.town.daemon().says("Could not send the result of a review").await;
    desk.town.sees(ALICE, &["DENIED"]).await;
    desk.town.settled(&id).await;
    desk.town.finish().await;
}
