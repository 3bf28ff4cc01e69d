//! Outages on Microsoft's side: nothing is lost, and no recipient is notified twice without need.

use std::time::Duration;

use crate::support::{ALICE, BOB, Left, Town};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::{Fault, Rule};

/// What the log says of the service that fails, or asks for a pause.
pub(crate) const FAILS: &str = "Service fails, retrying service=\"Bot connector\"";
pub(crate) const SLOW_DOWN: &str = "Service throttles requests service=\"Bot connector\"";

/// What it says of a delivery, if its retries within a call are not enough.
pub(crate) const DEFERRED: [&str; 2] = ["Delivery failed, will retry", "Microsoft did not confirm a card"];

/// Spoils some posts and edits, and expects one current card for each recipient.
pub(crate) async fn survives(fault: Fault, times: u32, warnings: &[&str]) {
    let town = Town::start().await;
    for method in ["POST", "PUT"] {
        let rule = Rule::some(times, method, "/activities", fault.clone());
        town.tenant.faults(|faults| faults.rules.push(rule));
    }
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.settled(&id).await;
    assert_eq!(town.tenant.met(&fault), 2 * usize::try_from(times).unwrap());
    town.expects_warnings(warnings);
    town.allows_warnings(if warnings.is_empty() { &[] } else { &DEFERRED });
    town.finish().await;
}

#[tokio::test]
async fn throttling_is_respected() {
    survives(Fault::Status(429, Some(1)), 3, &[SLOW_DOWN]).await;
}

#[tokio::test]
async fn throttling_without_a_pause_is_survived() {
    survives(Fault::Status(429, None), 3, &[SLOW_DOWN]).await;
}

#[tokio::test]
async fn answers_that_ask_for_a_retry_are_retried() {
    for status in [408, 502, 504] {
        survives(Fault::Status(status, None), 3, &[FAILS]).await;
    }
    // Nothing was done, so the call itself is repeated, without a line.
    for status in [412, 503] {
        survives(Fault::Status(status, None), 3, &[]).await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_anything_is_done_loses_nothing() {
    survives(Fault::ResetBefore, 3, &[FAILS]).await;
}

#[tokio::test]
async fn an_answer_that_never_comes_loses_nothing() {
    survives(Fault::Hang, 1, &[FAILS]).await;
}

#[tokio::test]
async fn a_page_of_a_proxy_is_not_accepted_as_an_answer() {
    survives(Fault::Html, 3, &[FAILS]).await;
}

#[tokio::test]
async fn a_slow_microsoft_is_waited_for() {
    let mut town = Town::build().await;
    let mut settings = town.settings(&town.config());
    // Longer than every other timeout of the program in this test.
    settings.limits.microsoft_timeout = Duration::from_secs(20);
    town.start_daemon_on(settings).await;
    let slow = Fault::Slow(Duration::from_millis(2_500));
    let rule = Rule::some(2, "POST", "/activities", slow.clone());
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    // A call that timed out is retried, with a warning.
    assert_eq!(town.tenant.met(&slow), 2);
    let posts = town.tenant.calls().into_iter();
    let posts = posts.filter(|call| call.method == "POST" && call.path.ends_with("/activities"));
    assert_eq!(posts.count(), 2);
    town.finish().await;
}

#[tokio::test]
async fn a_post_with_a_lost_answer_is_repeated() {
    let town = Town::start().await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(1, "POST", "/activities", Fault::ResetAfter)]);
    let id = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    // Whether the first one arrived is unknown; the record did not have it.
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.daemon()
        .says("Microsoft did not confirm a card; it may have been posted")
        .await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["PENDING", "APPROVED"]).await;
    town.leaves(Left::Unrecorded(1), "the answer was lost");
    town.expects_warnings(&["Service fails, retrying service=\"Bot connector\""]);
    town.finish().await;
}

#[tokio::test]
async fn a_post_that_was_accepted_without_an_id_is_not_repeated() {
    for fault in [Fault::Empty, Fault::HalfBody] {
        let town = Town::start().await;
        town.tenant
            .faults(|faults| faults.rules = vec![Rule::some(1, "POST", "/activities", fault)]);
        let id = town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
        town.sees(ALICE, &["PENDING"]).await;
        town.daemon()
            .says("Card was posted without an ID and cannot be updated")
            .await;
        town.settled(&id).await;
        town.cluster.repeat(&id);
        town.cluster.review(&id, "alice", Verdict::Approve, "ok");
        let next = town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
        town.sees(ALICE, &["PENDING", "PENDING"]).await;
        town.settled(&next).await;
        town.leaves(Left::Unrecorded(1), "its record has no id of it");
        town.finish().await;
    }
}

#[tokio::test]
async fn an_edit_with_a_lost_or_unexpected_answer_is_repeated() {
    for fault in [Fault::ResetAfter, Fault::Empty, Fault::HalfBody] {
        let town = Town::start().await;
        let id = town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
        town.sees(ALICE, &["PENDING"]).await;
        town.settled(&id).await;
        town.tenant
            .faults(|faults| faults.rules = vec![Rule::some(1, "PUT", "/activities", fault)]);
        town.cluster.review(&id, "alice", Verdict::Deny, "no");
        town.cluster
            .until("the denial is recorded", |state| {
                state.plugin_data[&id]["msteams"]
                    .get("resolution")
                    .is_some_and(|word| word == "DENIED")
            })
            .await;
        // Whether it arrived is unknown, so it is repeated.
        town.then_sees(ALICE, &["DENIED", "DENIED"]).await;
        town.finish().await;
    }
}

#[tokio::test]
async fn revoked_tokens_are_replaced() {
    let town = Town::start().await;
    for number in 1..4 {
        town.tenant.revoke_tokens();
        town.cluster.create(Draft::default());
        town.sees(ALICE, &vec!["PENDING"; number]).await;
        town.sees(BOB, &vec!["PENDING"; number]).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn a_login_service_that_fails_while_running_keeps_requests_until_it_answers() {
    let town = Town::start().await;
    town.tenant.revoke_tokens();
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(1, "POST", "/token", Fault::Status(503, None))]);
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_burst_stays_below_the_documented_limits() {
    let town = Town::start().await;
    town.tenant.faults(|faults| faults.enforce_limits = true);
    for _ in 0..12 {
        town.cluster.create(Draft::default());
    }
    town.sees(ALICE, &["PENDING"; 12]).await;
    town.sees(BOB, &["PENDING"; 12]).await;
    assert_eq!(town.tenant.throttled(), 0);
    town.finish().await;
}

#[tokio::test]
async fn a_card_stays_up_to_date_for_a_user_who_removed_the_app() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.uninstall(&town.people["Alice"]);
    town.cluster.review(&id, "bob", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    assert_eq!(town.tenant.standing(&town.people["Alice"]), "ok");
    town.finish().await;
}
