//! Delegates of recipients who are out of office.

mod failures;

use crate::notifications::{ROBIN, announce_earlier, config, town_with};
use crate::support::{ALICE, BOB, Town, for_alice, newest};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::{TenantOptions, User};

const CAROL: &str = "carol@example.com";
const EVE: &str = "eve@example.com";
const ON: &str = "[notify]\nout_of_office = true";
const PRESENCES: &str = "/getPresencesByUserId";
const LOOKED_UP: &str = "Looked up who is out of office";

/// A town whose app has these permissions, too.
async fn granted(roles: &[&'static str]) -> (Town, User) {
    let mut options = TenantOptions::default();
    options.roles.extend(roles);
    town_with(options).await
}

async fn town() -> (Town, User) {
    granted(&["Presence.Read.All"]).await
}

fn away(town: &Town, name: &str, message: &str) {
    town.tenant.set_out_of_office(&town.people[name], message);
}

/// Returns how often presences were read.
fn calls(town: &Town) -> usize {
    let calls = town.tenant.calls().into_iter();
    calls.filter(|call| call.path.ends_with(PRESENCES)).count()
}

#[tokio::test]
async fn the_delegate_gets_the_card_with_the_reason_and_every_update() {
    let (mut town, _) = town().await;
    away(
        &town,
        "Alice",
        "<p>Please ask <a href=\"mailto:eve@example.com\">Eve</a>.</p>",
    );
    // One level only.
    away(&town, "Eve", "Please ask carol@example.com.");
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    let card = newest(&town.chat(EVE)[0]).to_string();
    assert!(card.contains("Alice is out of office and named you"), "{card}");
    assert!(!newest(&town.chat(ALICE)[0]).to_string().contains("out of office"));
    town.settled(&id).await;
    let delegates = &town.cluster.plugin_data(&id)["x_delegates"];
    assert_eq!(
        delegates,
        r#"[{"rid":"eve@example.com","of":"alice@example.com","name":"Alice"}]"#
    );
    town.cluster.review(&id, "carol", Verdict::Approve, "first of two");
    for who in [ALICE, EVE] {
        town.reads(who, "first of two").await;
    }
    town.cluster.review(&id, "eve", Verdict::Approve, "second");
    for who in [ALICE, EVE] {
        town.sees(who, &["APPROVED"]).await;
    }
    town.settled(&id).await;
    let messages = town.cluster.plugin_data(&id)["messages"].split(',').count();
    assert_eq!(messages, 2, "the Go plugin updates the card of a delegate, too");
    assert_eq!((town.chat(CAROL).len(), calls(&town)), (0, 1));
    town.finish().await;
}

#[tokio::test]
async fn only_one_enabled_member_who_has_no_part_in_the_request_is_a_delegate() {
    let (mut town, _) = granted(&["Presence.Read.All", "User.Read.All"]).await;
    let tenant = &town.tenant;
    let two = "two@example.com";
    tenant.add_user("Tom", Some(two), "tom@example.com");
    tenant.add_user("Ty", Some(two), "ty@example.com");
    let gone = tenant.add_user("Gus", Some("gus@example.com"), "gus@example.com");
    tenant.disable(&gone);
    let guest = tenant.add_guest("Gil", "gil@partner.example");
    let internal = tenant.add_internal_guest("Ines", "ines@example.com");
    tenant.add_alias(&town.people["Alice"], "al@example.com");
    let (alice, bob) = (&town.people["Alice"], &town.people["Bob"]);
    // In order: an unknown address, one of two people, a disabled account, a guest, and the person under an alias.
    let message = format!("unknown@example.com, {two}, gus@example.com; gil@partner.example, al@example.com");
    tenant.set_out_of_office(alice, &message);
    // In order: the requester, a recipient and a guest whose name does not show it, and then a delegate.
    let message = format!("{ROBIN} or {ALICE} or {} or {EVE} or {CAROL}", internal.upn);
    tenant.set_out_of_office(bob, &message);
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    let card = newest(&town.chat(EVE)[0]).to_string();
    assert!(card.contains("Bob is out of office and named you"), "{card}");
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    for who in [ALICE, BOB, EVE] {
        town.sees(who, &["DENIED"]).await;
    }
    let others = [ROBIN, CAROL, "tom@example.com", "ty@example.com", "gus@example.com"];
    assert!(others.iter().all(|who| town.chat(who).is_empty()));
    assert!(town.chat(&guest.upn).is_empty() && town.chat(&internal.upn).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn who_names_no_one_and_who_is_only_away_has_no_delegate() {
    let (mut town, _) = town().await;
    away(&town, "Alice", "I am on vacation until Monday.");
    town.tenant
        .plan_out_of_office(&town.people["Bob"], "From Monday on, ask eve@example.com.");
    town.start_daemon_with(&config(&town, ON)).await;
    let first = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    let second = town.cluster.create(Draft::default());
    town.both_see(&["PENDING", "PENDING"]).await;
    town.daemon().says_times(2, LOOKED_UP).await;
    for id in [first, second] {
        town.settled(&id).await;
        assert!(!town.cluster.plugin_data(&id).contains_key("x_delegates"));
    }
    assert_eq!(calls(&town), 1, "the answer is remembered");
    assert!(town.chat(EVE).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn two_people_with_the_same_delegate_cause_one_card() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    away(&town, "Bob", "Contact EVE@example.com");
    town.start_daemon_with(&config(&town, ON)).await;
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "eve", Verdict::Approve, "ok");
    town.both_see(&["APPROVED"]).await;
    town.sees(EVE, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_restart_posts_no_second_card_and_asks_no_other_delegate() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    let on = config(&town, ON);
    town.start_daemon_with(&on).await;
    // The daemon dies when the delegate is recorded, and before the card is posted.
    let post = town.tenant.hold("POST", &town.people["Eve"].id.clone());
    let id = town.cluster.create(for_alice());
    post.reached(1).await;
    town.kill_daemon();
    town.tenant.faults(|faults| faults.rules.clear());
    away(&town, "Alice", CAROL);
    town.start_daemon_with(&on).await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    town.sees(ALICE, &["PENDING"]).await;
    town.start_daemon_with(&on).await;
    town.cluster.review(&id, "eve", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(EVE, &["APPROVED"]).await;
    town.settled(&id).await;
    assert!(town.chat(CAROL).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn a_reload_applies_to_pending_requests_and_cards_of_delegates_stay_current() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    town.start_daemon().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(town.chat(EVE).is_empty() && calls(&town) == 0);
    town.daemon().reload(town.load(&config(&town, ON))).await;
    town.sees(EVE, &["PENDING"]).await;
    town.settled(&id).await;
    town.daemon().reload(town.load(&town.config())).await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.cluster.review(&id, "eve", Verdict::Approve, "ok");
    town.sees(EVE, &["APPROVED"]).await;
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn the_manager_of_a_delegate_is_not_notified_of_an_escalation_after_a_restart() {
    let (mut town, _) = granted(&["Presence.Read.All", "User.Read.All"]).await;
    let [alice, bob, carol, eve] = ["Alice", "Bob", "Carol", "Eve"].map(|name| town.people[name].clone());
    town.tenant.set_manager(&alice, &bob);
    town.tenant.set_manager(&eve, &carol);
    away(&town, "Alice", EVE);
    let tables = format!("{ON}\n[escalation]\nafter = \"1h\"\nmanager = true");
    let config = config(&town, &tables);
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(for_alice());
    for who in [ALICE, EVE] {
        town.sees(who, &["PENDING"]).await;
    }
    town.settled(&id).await;
    town.kill_daemon();
    announce_earlier(&town, &id);
    town.start_daemon_with(&config).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(town.chat(CAROL).is_empty());
    town.finish().await;
}

#[tokio::test]
async fn an_escalated_recipient_who_is_out_of_office_has_a_delegate_too() {
    let (mut town, _) = town().await;
    away(&town, "Eve", CAROL);
    let tables = format!("{ON}\n[escalation]\nafter = \"300ms\"\n[escalation.role_to_recipients]\n\"*\" = \"{EVE}\"");
    town.start_daemon_with(&config(&town, &tables)).await;
    let id = town.cluster.create(for_alice());
    for who in [ALICE, EVE, CAROL] {
        town.sees(who, &["PENDING"]).await;
    }
    let card = newest(&town.chat(CAROL)[0]).to_string();
    assert!(card.contains("Eve is out of office and named you"), "{card}");
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn two_replicas_post_one_card_for_a_delegate() {
    let (mut town, _) = town().await;
    away(&town, "Alice", EVE);
    let on = config(&town, ON);
    town.start_daemon_with(&on).await;
    town.start_daemon_with(&on).await;
    for _ in 0..5 {
        let id = town.cluster.create(for_alice());
        town.cluster
            .until("the delegate is recorded", |state| {
                state
                    .plugin_data
                    .get(&id)
                    .is_some_and(|data| data["msteams"].contains_key("x_delegates"))
            })
            .await;
        town.settled(&id).await;
    }
    let pending = ["PENDING"; 5];
    town.sees(ALICE, &pending).await;
    town.sees(EVE, &pending).await;
    town.finish().await;
}
