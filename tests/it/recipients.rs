//! Which recipients are notified, and what happens when one cannot be.

use std::time::Duration;

use crate::support::{ALICE, BOB, Left, Town};
use crate::world::cluster::{ClusterOptions, ClusterState, Draft, Verdict};
use crate::world::tenant::{Fault, Rule, TenantOptions};

const CAROL: &str = "carol@example.com";
const DAN: &str = "dan.o'dell@example.com";

#[tokio::test]
async fn suggested_reviewers_and_channels_are_notified_and_the_app_is_installed_where_missing() {
    let mut town = Town::build().await;
    town.tenant.faults(|faults| faults.chat_appears_after = 2);
    let config = town.config_for(&format!("\"*\" = \"{}\"", town.channel));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft {
        suggested_reviewers: vec![CAROL.to_owned(), DAN.to_owned(), "not an address".to_owned()],
        ..Draft::default()
    });
    let channel = town.channel.clone();
    for who in [CAROL, DAN, &channel] {
        town.sees(who, &["PENDING"]).await;
    }
    town.cluster.review(&id, "carol", Verdict::Approve, "ok");
    for who in [CAROL, DAN, &channel] {
        town.sees(who, &["APPROVED"]).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn one_user_with_several_addresses_gets_one_card() {
    let mut town = Town::build().await;
    let alice = &town.people["Alice"].id;
    let config = town.config_for(&format!("\"*\" = [\"{alice}\", \"ALICE@Example.com\", \"{ALICE}\"]"));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft {
        suggested_reviewers: vec![ALICE.to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.repeat(&id);
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.sees(ALICE, &["DENIED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_person_whose_chat_graph_named_first_gets_no_second_card_under_another_address() {
    let mut town = Town::build().await;
    let alice = town.people["Alice"].id.clone();
    let config = town.config_for(&format!("\"*\" = [\"{ALICE}\"]"));
    // The connector opens no chats at first, so that the record has Graph's name of the chat.
    town.tenant.faults(|faults| faults.no_chats_by_bots = true);
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let record = town.cluster.plugin_data(&id);
    assert!(record["x_cards"].contains("19:"), "{record:?}");
    town.kill_daemon();
    town.tenant.faults(|faults| faults.no_chats_by_bots = false);
    let config = town.config_for(&format!("\"*\" = [\"{alice}\", \"{ALICE}\", \"{BOB}\"]"));
    town.start_daemon_with(&config).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    let next = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.sees(BOB, &["PENDING", "PENDING"]).await;
    town.settled(&next).await;
    assert!(town.cluster.plugin_data(&next)["x_cards"].contains("a:1"));
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.sees(ALICE, &["DENIED", "PENDING"]).await;
    town.sees(BOB, &["DENIED", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_person_whose_chat_the_connector_named_first_gets_no_second_card_under_another_address() {
    let mut town = Town::build().await;
    let alice = town.people["Alice"].id.clone();
    let config = town.config_for(&format!("\"*\" = [\"{ALICE}\"]"));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(town.cluster.plugin_data(&id)["x_cards"].contains("a:1"));
    town.kill_daemon();
    // The connector refuses, so that Graph's name of the chat is used for the other address.
    town.tenant.faults(|faults| faults.no_chats_by_bots = true);
    let config = town.config_for(&format!("\"*\" = [\"{alice}\", \"{BOB}\"]"));
    town.start_daemon_with(&config).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.sees(ALICE, &["DENIED"]).await;
    town.sees(BOB, &["DENIED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_person_is_found_under_an_alias_if_the_permission_is_granted_and_a_disabled_account_is_refused() {
    let mut options = TenantOptions::default();
    options.roles.push("User.Read.All");
    let mut town = Town::build_with(ClusterOptions::default(), options).await;
    town.tenant.add_alias(&town.people["Alice"], "o'alice+1@example.com");
    town.tenant.disable(&town.people["Eve"]);
    let config = town.config_for("\"*\" = [\"o'alice+1@example.com\", \"eve@example.com\"]");
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.daemon()
        .says("could not find the user for e…@example.com: the account is disabled")
        .await;
    town.daemon()
        .says("Enable the account in Entra, or remove the recipient")
        .await;
    town.finish().await;
}

#[tokio::test]
async fn a_recipient_who_cannot_be_notified_delays_no_other() {
    let mut town = Town::build().await;
    town.tenant.block(&town.people["Eve"]);
    let unknown_team = "https://teams.microsoft.com/l/channel/19%3Aabc%40thread.tacv2/x\
                        ?groupId=11111111-2222-3333-4444-555555555555";
    let recipients = format!("[\"nobody@example.com\", \"eve@example.com\", \"{unknown_team}\", \"{BOB}\"]");
    let mut settings = town.settings(&town.config_for(&format!("\"*\" = {recipients}")));
    settings.limits.refused_first_pause = Duration::from_mins(1);
    town.start_daemon_on(settings).await;
    let id = town.cluster.create(Draft::default());
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    for number in 0..3 {
        // Shortened addresses look alike; their place in the table distinguishes them.
        town.daemon()
            .says(&format!("role_to_recipients.\\\"*\\\"[{number}]"))
            .await;
    }
    let skipped = town.cluster.plugin_data(&id)["x_skipped"].clone();
    for part in ["nobody@example.com", "eve@example.com", "thread.tacv2"] {
        assert!(skipped.contains(part), "{skipped}");
    }
    let log = town.daemon().log();
    assert_eq!(log.matches("Cannot notify recipient").count(), 3, "{log}");
    assert_eq!(
        log.matches("retry_in=\"1m\"").count() + log.matches("retry_in=\"59s\"").count(),
        3,
        "{log}"
    );
    assert!(!log.contains("nobody@example.com"), "{log}");
    town.cluster.review(&id, "bob", Verdict::Approve, "ok");
    town.sees(BOB, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_user_without_a_mailbox_is_found_by_principal_name() {
    let mut town = Town::build().await;
    let name = "frank_home.example#EXT#@example.onmicrosoft.com";
    town.tenant.add_user("Frank", None, name);
    let config = town.config_for(&format!("\"*\" = \"{name}\""));
    town.start_daemon_with(&config).await;
    town.cluster.create(Draft::default());
    town.sees(name, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn an_app_that_was_removed_is_installed_again() {
    let town = Town::start().await;
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.tenant.uninstall(&town.people["Alice"]);
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.sees(BOB, &["PENDING", "PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_deleted_message_is_posted_again_once_while_its_request_is_pending() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        approvals: 9,
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.tenant.delete_card(&town.chat(ALICE)[0].id);
    town.cluster.review(&id, "carol", Verdict::Approve, "first");
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.tenant.delete_card(&town.chat(ALICE)[1].id);
    town.cluster.review(&id, "dan", Verdict::Approve, "second");
    let given_up = |state: &ClusterState| format!("{:?}", state.plugin_data[&id]).contains("deleted twice");
    town.cluster
        .until("the second deletion is taken for a wish", given_up)
        .await;
    town.cluster.review(&id, "eve", Verdict::Deny, "third");
    let next = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING", "PENDING", "PENDING"]).await;
    town.settled(&next).await;
    town.leaves(
        Left::Missing(1),
        "the card that was deleted twice is given up, and stays recorded",
    );
    town.expects_warnings(&["Card was deleted, posting it again", "Cannot notify recipient"]);
    town.finish().await;
}

#[tokio::test]
async fn one_unresponsive_recipient_delays_no_other() {
    let town = Town::start().await;
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    let bob = town.people["Bob"].id.clone();
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", &bob, Fault::Hang)]);
    for number in 2..8 {
        town.cluster.create(Draft::default());
        town.sees(ALICE, &vec!["PENDING"; number]).await;
    }
    town.tenant.faults(|faults| faults.rules.clear());
    town.sees(BOB, &["PENDING"; 7]).await;
    town.expects_warnings(&[
        "Service fails, retrying service=\"Bot connector\"",
        "Microsoft did not confirm a card",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn an_empty_default_list_notifies_no_recipient() {
    let mut town = Town::build().await;
    let config = town.config_for("\"*\" = []");
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft::default());
    town.daemon().says("No recipients to notify").await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.finish().await;
}
