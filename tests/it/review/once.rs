//! One press is one review, however often it is delivered.

use std::time::Duration;

use futures_util::future::join_all;

use super::{APPROVED, DENIED, Desk, answered, refused, shows};
use crate::support::{ALICE, for_alice};
use crate::world::cluster::{ClusterState, Draft, Moment, Verdict};
use crate::world::tenant::Repeat;

#[tokio::test]
async fn a_press_that_teams_repeats_is_one_review_with_the_same_answer() {
    let desk = Desk::start().await;
    for (new_id, after) in [(false, 0), (true, 0), (false, 300), (true, 300)] {
        let mut words = vec!["APPROVED"; desk.town.chat(ALICE).len()];
        let id = desk.town.cluster.create(for_alice());
        words.push("PENDING");
        desk.town.sees(ALICE, &words).await;
        desk.town.settled(&id).await;
        let repeat = Repeat {
            to: None,
            new_id,
            after: Duration::from_millis(after),
        };
        desk.town.tenant.faults(|faults| faults.repeat_presses = Some(repeat));
        shows(&desk.press("Alice", "approve", None).await, "Approved");
        let deliveries = desk.town.tenant.deliveries();
        let answers: Vec<_> = deliveries
            .iter()
            .rev()
            .take(2)
            .map(|delivery| delivery.answer.clone())
            .collect();
        assert_eq!(answers[0], answers[1]);
        desk.town.settled(&id).await;
        assert_eq!(desk.reviews(&id), [("alice".to_owned(), APPROVED, String::new())]);
        desk.town.sees(ALICE, &vec!["APPROVED"; words.len()]).await;
    }
    assert_eq!(desk.town.cluster.calls_of("SubmitAccessReview"), 4);
    desk.town.finish().await;
}

#[tokio::test]
async fn deliveries_to_two_replicas_are_one_review() {
    let mut desk = Desk::start().await;
    let first = desk.url();
    let settings = desk.town.settings(&desk.config(""));
    desk.start_daemon_on(settings).await;
    let second = desk.url();
    let id = desk.asked().await;
    // Reads lag, so that each replica learns of the other's review from the rejection alone.
    desk.town.cluster.lag_reads();
    let press = desk.pressing("Alice", "approve", None);
    let presses = [press.clone().to(&first), press.clone().to(&second), press.to(&first)];
    let caught_up = async {
        let both = |state: &ClusterState| state.calls.get("SubmitAccessReview").is_some_and(|calls| *calls >= 2);
        desk.town.cluster.until("both replicas submit", both).await;
        desk.town.cluster.catch_up_reads();
    };
    let (answers, ()) = tokio::join!(join_all(presses.map(answered)), caught_up);
    for answer in &answers {
        shows(answer, "Approved");
    }
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id).len(), 1);
    desk.town.finish().await;
}

#[tokio::test]
async fn of_two_different_presses_by_one_person_the_first_counts() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let gate = desk.town.cluster.hold("SubmitAccessReview", Moment::Before, 0);
    let approve = desk.pressing("Alice", "approve", None);
    let deny = desk.pressing("Alice", "deny", None);
    let second = async {
        gate.reached(1).await;
        let (answer, ()) = tokio::join!(answered(deny), async { gate.open() });
        answer
    };
    let (first, second) = tokio::join!(answered(approve), second);
    shows(&first, "Approved");
    refused(&second, "already approved this request");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    refused(
        &answered(desk.pressing_old("Alice", "deny")).await,
        "already approved this request",
    );
    assert_eq!(desk.reviews(&id), [("alice".to_owned(), APPROVED, String::new())]);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_press_counts_after_another_one_that_was_no_review() {
    let desk = Desk::start_with("reason = \"deny\"", |settings| settings).await;
    let id = desk.asked().await;
    let forged = desk.pressing("Alice", "deny", Some(" "));
    refused(&answered(forged).await, "Enter a reason to deny");
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    desk.town.finish().await;
}

#[tokio::test]
async fn a_press_with_a_reason_does_not_share_the_result_of_one_without() {
    let desk = Desk::start_with("reason = \"deny\"", |settings| settings).await;
    let id = desk.asked().await;
    let gate = desk.town.cluster.hold("GetAccessRequestsV2", Moment::Before, 0);
    let without = desk.pressing("Alice", "deny", Some(""));
    let with = desk.pressing("Alice", "deny", Some("not tonight"));
    let second = async {
        gate.reached(1).await;
        let (answer, ()) = tokio::join!(answered(with), async { gate.open() });
        answer
    };
    let (first, second) = tokio::join!(answered(without), second);
    refused(&first, "Enter a reason to deny");
    shows(&second, "Denied");
    desk.town.sees(ALICE, &["DENIED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(
        desk.reviews(&id),
        [("alice".to_owned(), DENIED, "not tonight".to_owned())]
    );
    desk.town.finish().await;
}

#[tokio::test]
async fn another_press_during_a_slow_one_is_refused_and_has_no_message() {
    let desk = Desk::start_with("", |mut settings| {
        settings.limits.teleport_timeout = Duration::from_secs(15);
        settings
    });
    let desk = desk.await;
    let id = desk.asked().await;
    let gate = desk.town.cluster.hold("SubmitAccessReview", Moment::Before, 0);
    let (approve, deny) = (
        desk.pressing("Alice", "approve", None),
        desk.pressing("Alice", "deny", None),
    );
    let (first, second) = tokio::join!(answered(approve), async {
        gate.reached(1).await;
        answered(deny).await
    });
    refused(&first, "being processed");
    refused(&second, "Wait for its result");
    gate.open();
    desk.town.sees(ALICE, &["APPROVED"]).await;
    let text = format!("Access Request {id}: Your approval was submitted.");
    assert_eq!(desk.texts(&desk.town.people["Alice"], 1).await, [text]);
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id), [("alice".to_owned(), APPROVED, String::new())]);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_review_whose_answer_is_lost_is_confirmed() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    desk.town.cluster.faults(|faults| faults.lose_review_answers = 1);
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id).len(), 1);
    desk.town.finish().await;
}

#[tokio::test]
async fn temporary_failures_are_retried() {
    let desk = Desk::start().await;
    let id = desk
        .asked_for(Draft {
            approvals: 2,
            ..for_alice()
        })
        .await;
    // The server did not answer, or another write came first.
    desk.town.cluster.fail_reviews(2, 14);
    shows(&desk.press("Alice", "approve", None).await, "Pending");
    desk.town.cluster.fail_reviews(2, 9);
    shows(&desk.press("Bob", "approve", None).await, "Approved");
    desk.town.sees_after(ALICE, &["PENDING"], &["APPROVED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(desk.reviews(&id).len(), 2);
    desk.town.finish().await;
}

#[tokio::test]
async fn newer_servers_report_a_second_review_with_another_code() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    desk.town.cluster.faults(|faults| faults.reviews_already_exist = true);
    desk.town.cluster.lag_reads();
    desk.town
        .cluster
        .review(&id, "alice", Verdict::Approve, "in the Web UI");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    refused(
        &answered(desk.pressing_old("Alice", "approve")).await,
        "already reviewed this request",
    );
    desk.town.cluster.catch_up_reads();
    shows(&answered(desk.pressing_old("Alice", "approve")).await, "Approved");
    refused(
        &answered(desk.pressing_old("Alice", "deny")).await,
        "already approved this request",
    );
    assert_eq!(desk.reviews(&id).len(), 1);
    desk.town.finish().await;
}
