//! Look-ups of delegates that are slow, rejected or not possible.

use std::time::Duration;

use crate::notifications::out_of_office::{EVE, LOOKED_UP, ON, PRESENCES, away, granted, town};
use crate::notifications::{ROBIN, config};
use crate::support::{ALICE, for_alice};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::{Fault, Rule};

const TIMED_OUT: &str = "Presence look-up timed out";

#[tokio::test]
async fn without_the_permission_one_warning_says_so_and_every_card_arrives() {
    let (mut town, _) = granted(&[]).await;
    away(&town, "Alice", EVE);
    town.start_daemon_with(&config(&town, ON)).await;
    let warning = "Could not read who is out of office; delegates are not notified";
    town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.daemon().says(warning).await;
    town.daemon()
        .says("Grant the application permission Presence.Read.All")
        .await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING", "PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.both_see(&["PENDING", "APPROVED"]).await;
    assert_eq!(town.daemon().warnings(warning), 1);
    assert!(town.chat(EVE).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn a_slow_graph_delays_no_card_and_the_delegate_follows() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    let mut settings = town.settings(&config(&town, ON));
    settings.limits.look_up_patience = Duration::from_millis(1);
    town.start_daemon_on(settings).await;
    let slow = town.tenant.hold("POST", PRESENCES);
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    slow.reached(1).await;
    // The look-up takes longer than a card waits for names.
    town.cluster.review(&id, "bob", Verdict::Approve, "first of two");
    town.reads(ALICE, "first of two").await;
    town.tenant.faults(|faults| faults.rules.clear());
    slow.open();
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(town.daemon().warnings(TIMED_OUT), 0);
    town.finish().await;
}

#[tokio::test]
async fn a_look_up_that_takes_too_long_causes_one_warning_and_is_repeated() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    let mut settings = town.settings(&config(&town, ON));
    settings.limits.presence_patience = Duration::from_secs(1);
    settings.limits.microsoft_timeout = Duration::from_mins(1);
    town.start_daemon_on(settings).await;
    let slow = town.tenant.hold("POST", PRESENCES);
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon().says_times(2, TIMED_OUT).await;
    town.tenant.faults(|faults| faults.rules.clear());
    slow.open();
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(town.daemon().warnings(TIMED_OUT), 1);
    town.finish().await;
}

#[tokio::test]
async fn an_address_of_two_people_does_not_cancel_the_delegate_of_another_recipient() {
    let (mut town, _) = town().await;
    let two = "two@example.com";
    town.tenant.add_user("Tom", Some(two), "tom@example.com");
    town.tenant.add_user("Ty", Some(two), "ty@example.com");
    away(&town, "Alice", EVE);
    let config = town.config_for(&format!("\"*\" = [{ALICE:?}, {two:?}]"));
    town.start_daemon_with(&format!("{config}\n{ON}")).await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon().says("Cannot notify recipient").await;
    town.sees(EVE, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn the_requester_is_no_delegate_while_a_look_up_fails() {
    let (mut town, robin) = town().await;
    away(&town, "Alice", &format!("{ROBIN} or {EVE}"));
    // Teleport knows the requester under the object ID only.
    town.cluster
        .set_traits("robin", false, &[("teams_user_id", &[&robin.id])]);
    let odd = Fault::Page(200, "application/json", "{\"value\": 1}");
    // The first one is the look-up of the person that the card mentions.
    let rule = Rule::some(3, "GET", &format!("/users/{}", robin.id), odd);
    town.tenant.faults(|faults| faults.rules.push(rule));
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(Draft {
        user: "robin".to_owned(),
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon()
        .says("Could not read who is out of office, retrying")
        .await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(town.chat(ROBIN).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn a_look_up_that_fails_is_repeated() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    let html = Rule::some(
        1,
        "POST",
        PRESENCES,
        Fault::Page(200, "application/json", "{\"value\": 1}"),
    );
    town.tenant.faults(|faults| faults.rules.push(html));
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon()
        .says("Could not read who is out of office, retrying")
        .await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_cloud_without_presence_causes_one_warning() {
    let (mut town, _) = town().await;
    let missing = Rule::every("POST", PRESENCES, Fault::Error(400, "BadRequest"));
    town.tenant.faults(|faults| faults.rules.push(missing));
    town.start_daemon_with(&config(&town, ON)).await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    let warning = "Could not read who is out of office; delegates are not notified";
    town.daemon().says(warning).await;
    town.daemon().says("the cloud of the tenant has presence").await;
    town.finish().await;
}

#[tokio::test]
async fn a_recipient_who_cannot_be_reached_does_not_delay_the_delegate_of_another() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    town.tenant.block(&town.people["Bob"].clone());
    town.start_daemon_with(&config(&town, ON)).await;
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.daemon().says("Cannot notify recipient").await;
    town.sees(EVE, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_for_which_graph_is_not_asked_does_not_repeat_the_warning() {
    let (mut town, _) = granted(&[]).await;
    let config = town.config_for(&format!("dev = {ALICE:?}\n\"*\" = \"unknown@example.com\""));
    town.start_daemon_with(&format!("{config}\n{ON}")).await;
    let warning = "Could not read who is out of office; delegates are not notified";
    town.cluster.create(for_alice());
    town.daemon().says(warning).await;
    town.cluster.create(Draft::default());
    town.daemon().says("Cannot notify recipient").await;
    town.daemon().says(LOOKED_UP).await;
    town.cluster.create(for_alice());
    town.daemon().says("Could not look up who is out of office").await;
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    assert_eq!(town.daemon().warnings(warning), 1);
    town.finish().await;
}
