//! Further recipients of requests that stay pending.

use crate::notifications::{ROBIN, announce_earlier, config, town, town_with};
use crate::support::{ALICE, BOB, for_alice, newest};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::TenantOptions;

const EVE: &str = "eve@example.com";

fn to(recipients: &str, after: &str) -> String {
    format!("[escalation]\nafter = \"{after}\"\n[escalation.role_to_recipients]\n{recipients}")
}

#[tokio::test]
async fn a_pending_request_goes_to_further_recipients_and_says_why() {
    let (mut town, _) = town().await;
    let recipients = format!("dev = [\"{EVE}\", \"{ALICE}\", \"{ROBIN}\"]");
    town.start_daemon_with(&config(&town, &to(&recipients, "500ms"))).await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    let card = newest(&town.chat(EVE)[0]).to_string();
    assert!(card.contains("Escalated"), "{card}");
    town.settled(&id).await;
    // Alice has a card already, and Robin made the request.
    assert_eq!((town.chat(ALICE).len(), town.chat(ROBIN).len()), (1, 0));
    town.cluster.review(&id, "eve", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(EVE, &["APPROVED"]).await;
    town.settled(&id).await;
    let messages = town.cluster.plugin_data(&id)["messages"].split(',').count();
    assert_eq!(messages, 2, "the Go plugin updates escalated cards, too");
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_is_resolved_in_time_is_not_escalated() {
    let (mut town, _) = town().await;
    let recipients = format!("\"*\" = \"{EVE}\"");
    town.start_daemon_with(&config(&town, &to(&recipients, "1500ms"))).await;
    let resolved = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&resolved).await;
    town.cluster.review(&resolved, "alice", Verdict::Deny, "no");
    town.sees(ALICE, &["DENIED"]).await;
    let pending = town.cluster.create(for_alice());
    town.sees(ALICE, &["DENIED", "PENDING"]).await;
    // It was announced later than the other one, which would have been escalated first.
    town.sees(EVE, &["PENDING"]).await;
    assert!(newest(&town.chat(EVE)[0]).to_string().contains(&pending));
    town.finish().await;
}

#[tokio::test]
async fn an_escalation_that_is_due_during_a_downtime_follows_the_start_and_two_replicas_make_one() {
    let (mut town, _) = town().await;
    let escalating = config(&town, &to(&format!("dev = \"{EVE}\""), "1h"));
    town.start_daemon().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    announce_earlier(&town, &id);
    town.start_daemon_with(&escalating).await;
    town.start_daemon_with(&escalating).await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(EVE, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn managers_of_recipients_who_have_not_reviewed_are_notified_one_level_up() {
    let mut options = TenantOptions::default();
    options.roles.push("User.Read.All");
    let (mut town, robin) = town_with(options).await;
    let [alice, bob, carol, eve] = ["Alice", "Bob", "Carol", "Eve"].map(|name| town.people[name].clone());
    town.tenant.set_manager(&alice, &eve);
    town.tenant.set_manager(&bob, &robin);
    town.tenant.set_manager(&eve, &carol);
    town.start_daemon_with(&config(&town, "[escalation]\nafter = \"500ms\"\nmanager = true"))
        .await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.both_see(&["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    let card = newest(&town.chat(EVE)[0]).to_string();
    assert!(card.contains("Escalated"), "{card}");
    town.settled(&id).await;
    // Bob's manager is the requester, and Carol is the manager of a manager.
    assert!(town.chat(ROBIN).is_empty() && town.chat("carol@example.com").is_empty());
    town.finish().await;
}

#[tokio::test]
async fn the_manager_of_a_recipient_who_has_reviewed_is_not_notified() {
    let mut options = TenantOptions::default();
    options.roles.push("User.Read.All");
    let (mut town, _) = town_with(options).await;
    let [alice, bob, carol, eve] = ["Alice", "Bob", "Carol", "Eve"].map(|name| town.people[name].clone());
    town.tenant.set_manager(&alice, &carol);
    town.tenant.set_manager(&bob, &eve);
    town.cluster
        .set_traits("alice", false, &[("teams_user_id", &[&alice.id])]);
    town.start_daemon_with(&config(&town, "[escalation]\nafter = \"2s\"\nmanager = true"))
        .await;
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
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(town.chat("carol@example.com").is_empty());
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_managers_are_not_notified_and_one_warning_says_so() {
    let (mut town, _) = town().await;
    let tables = format!("{}\n", to(&format!("\"*\" = \"{EVE}\""), "300ms"));
    let tables = tables.replace("[escalation]", "[escalation]\nmanager = true");
    town.start_daemon_with(&config(&town, &tables)).await;
    town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    town.daemon()
        .says("Could not read managers; they are not notified")
        .await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_whose_reviewers_cannot_be_reached_is_escalated() {
    let (mut town, _) = town().await;
    let recipients = town.config_for("\"*\" = \"unknown@example.com\"");
    let tables = to(&format!("\"*\" = \"{EVE}\""), "300ms");
    town.start_daemon_with(&format!("{recipients}\n{tables}")).await;
    let id = town.cluster.create(for_alice());
    town.daemon().says("Cannot notify recipient").await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn a_reload_applies_to_requests_that_are_already_announced() {
    let (mut town, _) = town().await;
    town.start_daemon().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let escalating = town.load(&config(&town, &to(&format!("\"*\" = \"{BOB}\""), "1ms")));
    town.daemon().reload(escalating).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    let off = town.load(&town.config());
    town.daemon().reload(off).await;
    town.cluster.review(&id, "bob", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.finish().await;
}
