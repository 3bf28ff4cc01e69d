//! What the configuration changes.

use super::{Desk, answered, refused, shows};
use crate::support::{ALICE, BOB, Town, for_alice};
use crate::world::cluster::Draft;

#[tokio::test]
async fn without_reviews_no_port_is_open_and_cards_have_no_buttons() {
    let town = Town::start().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(!format!("{:?}", town.chat(ALICE)).contains("Action.Execute"));
    assert!(!town.daemon().log().contains("Serving button presses"));
    assert_eq!(town.tenant.key_fetches(), 0);
    town.finish().await;
}

#[tokio::test]
async fn a_reload_turns_reviews_off_and_the_buttons_say_so() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let off = desk.config("").replace("enabled = true", "enabled = false");
    desk.town.daemon().reload(desk.town.load(&off)).await;
    let answer = desk.press("Alice", "approve", None).await;
    refused(&answer, "Reviews in Teams are turned off");
    refused(&answer, &format!("/web/requests/{id}"));
    let next = desk.town.cluster.create(for_alice());
    desk.town.sees(ALICE, &["PENDING", "PENDING"]).await;
    desk.town.settled(&next).await;
    assert!(!format!("{:?}", desk.card(ALICE)).contains("Action.Execute"));
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_reload_changes_the_trait_and_the_rule_for_reasons() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let changed = desk.config("teams_user_id_trait = \"entra\"\nreason = \"always\"");
    desk.town.daemon().reload(desk.town.load(&changed)).await;
    refused(
        &answered(desk.pressing_old("Alice", "approve")).await,
        "the trait entra of your user",
    );
    let alice = &desk.town.people["Alice"].id;
    desk.town.cluster.set_traits("alice", false, &[("entra", &[alice])]);
    let next = desk.town.cluster.create(for_alice());
    desk.town.sees(ALICE, &["PENDING", "PENDING"]).await;
    desk.town.settled(&next).await;
    // Bob was never looked up, so nothing is remembered of him.
    let bob = &desk.town.people["Bob"].id;
    desk.town.cluster.set_traits("bob", false, &[("entra", &[bob])]);
    refused(&desk.press("Bob", "deny", Some("  ")).await, "Enter a reason to deny");
    shows(&desk.press("Bob", "deny", Some("no")).await, "Denied");
    desk.town.sees(ALICE, &["PENDING", "DENIED"]).await;
    desk.town.settled(&next).await;
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn suggested_reviewers_are_found_by_the_configured_trait_without_reviews_too() {
    let mut town = Town::build().await;
    let bob = &town.people["Bob"].id;
    town.cluster.set_traits("bob", false, &[("entra", &[bob])]);
    let config = format!("{}\n[review]\nteams_user_id_trait = \"entra\"", town.config());
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft {
        suggested_reviewers: vec!["bob".to_owned()],
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.finish().await;
}
