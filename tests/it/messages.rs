//! Replies in threads, and the managers of recipients: what the daemon asks Microsoft for beside cards.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use teleport_msteams::daemon::{Courier, Placed, Undelivered};
use teleport_msteams::domain::recipients::Address;
use teleport_msteams::msteams::{Activity, Meaning, Priority, Retry, Teams, message_link};
use tokio_util::sync::CancellationToken;

use crate::support::{ALICE, BOB, Town, newest};
use crate::world::cluster::ClusterOptions;
use crate::world::tenant::{Fault, Rule, TenantOptions};

fn teams(town: &Town) -> Teams {
    let settings = town.settings(&town.config());
    Teams::new(&settings.microsoft, &settings.limits).unwrap()
}

fn card(text: &str) -> Activity {
    Activity::new(&json!({ "type": "AdaptiveCard", "fallbackText": text }), text, false)
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Calls `test` with a courier, and the channel of the town.
async fn with_courier(town: &Town, test: impl AsyncFnOnce(Courier<'_>, Address)) {
    let (teams, priority, halt) = (teams(town), Priority::command(), CancellationToken::new());
    test(Courier::new(&teams, &priority, &halt), address(&town.channel)).await;
}

async fn post(courier: Courier<'_>, to: &Address, text: &str) -> Placed {
    let conversation = courier.find(to).await.unwrap();
    courier.post(to, conversation, &card(text)).await.unwrap()
}

#[tokio::test]
async fn a_reply_stays_in_the_thread_of_the_card() {
    let town = Town::build().await;
    with_courier(&town, async |courier, channel| {
        let root = post(courier, &channel, "card").await;
        let first = courier.reply(&root, &card("first")).await.unwrap();
        assert_eq!(
            first.conversation,
            format!("{};messageid={}", root.conversation, root.activity)
        );
        // A reply to a reply belongs to the same thread.
        let second = courier.reply(&first, &card("second")).await.unwrap();
        assert_eq!(second.conversation, first.conversation);
        let cards = town.chat(&town.channel);
        assert_eq!(cards.len(), 1, "a reply begins no thread");
        let replies = town.tenant.replies(&cards[0]);
        let ids: Vec<_> = replies.iter().map(|reply| reply.id.clone()).collect();
        assert_eq!(ids, [first.activity.clone(), second.activity]);
        courier.update(None, first.clone(), &card("changed")).await.unwrap();
        let replies = town.tenant.replies(&cards[0]);
        assert_eq!(newest(&replies[0])["summary"], "changed");
        let link = message_link(&first.conversation, &first.activity, Some("team"), "tenant").unwrap();
        assert!(link.ends_with(&format!(
            "/{}?tenantId=tenant&groupId=team&parentMessageId={}",
            first.activity, root.activity
        )));
    })
    .await;
}

#[tokio::test]
async fn a_reply_to_a_message_that_does_not_exist_is_reported_as_such() {
    let town = Town::build().await;
    with_courier(&town, async |courier, channel| {
        let root = post(courier, &channel, "card").await;
        let chat = post(courier, &address(ALICE), "card").await;
        let unknown = Placed {
            activity: "1".to_owned(),
            ..root.clone()
        };
        town.tenant.delete_card(&root.activity);
        for placed in [unknown, root, chat] {
            let failed = courier.reply(&placed, &card("reply")).await;
            let Err(Undelivered::Gone(error, conversation)) = failed else {
                panic!("{placed:?}: {failed:?}");
            };
            assert!(conversation.ends_with(&format!(";messageid={}", placed.activity)));
            assert_eq!(error.meaning(), Meaning::NotFound);
        }
        assert!(town.tenant.all_replies().is_empty());
        // Another answer that Microsoft documents for a message that does not exist.
        let root = post(courier, &channel, "card").await;
        let rule = Rule::every(
            "POST",
            "/activities",
            Fault::Error(404, "ActivityNotFoundInConversation"),
        );
        town.tenant.faults(|faults| faults.rules = vec![rule]);
        let failed = courier.reply(&root, &card("reply")).await;
        assert!(matches!(failed, Err(Undelivered::Gone(..))), "{failed:?}");
    })
    .await;
}

#[tokio::test]
async fn a_reply_fails_like_a_post() {
    let town = Town::build().await;
    with_courier(&town, async |courier, channel| {
        let root = post(courier, &channel, "card").await;
        let reply = || async { courier.reply(&root, &card("reply")).await };
        let fails_with = |fault| {
            let rule = Rule::every("POST", "/activities", fault);
            town.tenant.faults(|faults| faults.rules = vec![rule]);
        };
        fails_with(Fault::ResetAfter);
        assert!(matches!(reply().await, Err(Undelivered::Unconfirmed(_))));
        fails_with(Fault::Empty);
        assert!(matches!(reply().await, Err(Undelivered::Nameless(_, place)) if place.contains(";messageid=")));
        fails_with(Fault::Status(503, Some(60)));
        assert!(matches!(reply().await, Err(Undelivered::Later(..))));
        town.tenant.faults(|faults| faults.rules.clear());
        town.tenant.set_team_installed("Security", false);
        let failed = reply().await;
        assert!(
            matches!(&failed, Err(Undelivered::Refused(error)) if error.meaning() == Meaning::BotNotInstalled),
            "{failed:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn replies_count_for_the_limits_of_their_channel() {
    let town = Town::build().await;
    town.tenant.faults(|faults| faults.enforce_limits = true);
    with_courier(&town, async |courier, channel| {
        let one = post(courier, &channel, "one").await;
        let two = post(courier, &channel, "two").await;
        let reply = async |number: usize| {
            let root = if number.is_multiple_of(2) { &one } else { &two };
            courier.reply(root, &card("reply")).await.unwrap()
        };
        join_all((0..8).map(reply)).await;
        assert_eq!((town.tenant.throttled(), town.tenant.all_replies().len()), (0, 8));
    })
    .await;
}

/// Builds a tenant whose app may read all users.
async fn with_managers() -> Town {
    let options = TenantOptions {
        roles: [&TenantOptions::default().roles[..], &["User.Read.All"]].concat(),
        ..TenantOptions::default()
    };
    Town::build_with(ClusterOptions::default(), options).await
}

/// Returns how often a manager was looked up.
fn look_ups(town: &Town) -> usize {
    let calls = town.tenant.calls().into_iter();
    calls.filter(|call| call.path.ends_with("/manager")).count()
}

#[tokio::test]
async fn a_manager_is_found_one_level_up_under_any_name_of_the_recipient() {
    let town = with_managers().await;
    let [alice, bob, carol] = ["Alice", "Bob", "Carol"].map(|name| &town.people[name]);
    town.tenant.set_manager(alice, bob);
    town.tenant.set_manager(bob, carol);
    town.tenant.add_alias(alice, "al@example.com");
    let teams = teams(&town);
    let priority = &Priority::command();
    for name in [ALICE, "al@example.com", &alice.id] {
        let manager = teams.manager(&address(name), priority).await.unwrap();
        assert_eq!(manager, Some(address(&bob.id)), "{name}");
    }
    assert_eq!(look_ups(&town), 1, "the answer is remembered");
    // The manager has a conversation, whether or not the app was installed before.
    let manager = teams.manager(&address(BOB), priority).await.unwrap().unwrap();
    let conversation = teams.resolve(&manager, priority).await.unwrap();
    assert_eq!(conversation.person.map(|person| person.id), Some(carol.id.clone()));
}

#[tokio::test]
async fn no_manager_is_an_answer() {
    let town = with_managers().await;
    let [alice, bob, eve] = ["Alice", "Bob", "Eve"].map(|name| &town.people[name]);
    town.tenant.set_manager(alice, bob);
    town.tenant.disable(bob);
    town.tenant.set_manager(bob, eve);
    town.tenant.remove_user(eve);
    let teams = teams(&town);
    // In order: the account is disabled, the manager was deleted, there is none, the user is unknown, a channel.
    for name in [
        ALICE,
        BOB,
        "dan.o'dell@example.com",
        "unknown@example.com",
        &town.channel,
    ] {
        let manager = teams.manager(&address(name), &Priority::command()).await;
        assert_eq!(manager.unwrap(), None, "{name}");
    }
    assert_eq!(look_ups(&town), 3);
}

#[tokio::test]
async fn a_missing_permission_is_not_the_absence_of_a_manager() {
    let town = Town::build().await;
    town.tenant.set_manager(&town.people["Alice"], &town.people["Bob"]);
    let teams = teams(&town);
    let error = teams.manager(&address(ALICE), &Priority::command()).await.unwrap_err();
    let hint = "Grant the application permission User.Read.All and give admin consent";
    assert_eq!((error.meaning(), error.hint()), (Meaning::Denied, Some(hint)));
    assert_eq!(
        error.to_string(),
        "could not find the manager of the user for a…@example.com: access is denied (403, Authorization_RequestDenied)"
    );
    // A failure is not remembered.
    teams.manager(&address(ALICE), &Priority::command()).await.unwrap_err();
    assert_eq!(look_ups(&town), 2);
}

#[tokio::test]
async fn odd_answers_about_a_manager_are_not_trusted() {
    let town = with_managers().await;
    let answers = [
        (200, "{}", Some(Meaning::Protocol)),
        (
            200,
            r#"{"id": "../x", "accountEnabled": true}"#,
            Some(Meaning::Protocol),
        ),
        (
            200,
            r#"{"id": "x@example.com", "accountEnabled": true}"#,
            Some(Meaning::Protocol),
        ),
        (404, "<html>", Some(Meaning::Protocol)),
        // An organizational contact is no user.
        (200, r#"{"id": "0d7f6a52-6c1e-4a70-9d0b-0d7f5b7f8a11"}"#, None),
    ];
    for (status, body, expected) in answers {
        let teams = teams(&town);
        let fault = Fault::Page(status, "application/json", body);
        let rule = Rule::every("GET", "/manager", fault);
        town.tenant.faults(|faults| faults.rules = vec![rule]);
        let found = teams.manager(&address(ALICE), &Priority::command()).await;
        match expected {
            Some(meaning) => {
                let error = found.unwrap_err();
                assert_eq!(error.meaning(), meaning, "{body}");
                assert_ne!(error.retry(), Retry::Never, "{body}");
            }
            None => assert_eq!(found.unwrap(), None, "{body}"),
        }
    }
    // A pause that Microsoft requests is respected: the call is repeated.
    let rule = Rule::some(1, "GET", "/manager", Fault::Status(429, Some(1)));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let begun = tokio::time::Instant::now();
    assert_eq!(
        teams(&town)
            .manager(&address(ALICE), &Priority::command())
            .await
            .unwrap(),
        None
    );
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn presences_are_read_in_one_call_and_odd_answers_are_not_trusted() {
    let mut options = TenantOptions::default();
    options.roles.push("Presence.Read.All");
    let town = Town::build_with(ClusterOptions::default(), options).await;
    let [alice, bob] = ["Alice", "Bob"].map(|name| &town.people[name]);
    town.tenant.set_out_of_office(alice, "Ask bob@example.com");
    let ids = [alice.id.to_uppercase(), bob.id.clone()];
    let priority = &Priority::command();
    for body in ["{}", r#"{"value": {}}"#, r#"{"value": [{"outOfOfficeSettings": {}}]}"#] {
        let fault = Fault::Page(200, "application/json", body);
        let rule = Rule::every("POST", "/getPresencesByUserId", fault);
        town.tenant.faults(|faults| faults.rules = vec![rule]);
        let error = teams(&town).absent(&ids, priority).await.unwrap_err();
        assert_eq!(error.meaning(), Meaning::Protocol, "{body}");
        assert_ne!(error.retry(), Retry::Never, "{body}");
    }
    // Only people who were asked for count, and every setting can be missing.
    let other = r#"{"value": [{"id": "x", "outOfOfficeSettings": {"isOutOfOffice": true, "message": "a@b.example"}},
        {"id": "y"}, {"id": "z", "outOfOfficeSettings": null}]}"#;
    let rule = Rule::every(
        "POST",
        "/getPresencesByUserId",
        Fault::Page(200, "application/json", other),
    );
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    assert!(teams(&town).absent(&ids, priority).await.unwrap().0.is_empty());
    town.tenant.faults(|faults| faults.rules.clear());
    let ids = [alice.id.clone(), bob.id.clone()];
    let (teams, before) = (teams(&town), town.tenant.calls().len());
    let both = join_all([teams.absent(&ids, priority), teams.absent(&ids[..1], priority)]).await;
    for absent in both {
        let (absent, _) = absent.unwrap();
        assert_eq!(absent.len(), 1);
        assert_eq!(absent[&alice.id], [address(BOB)]);
    }
    let calls = town.tenant.calls().split_off(before).into_iter();
    let calls = calls
        .filter(|call| call.path.ends_with("/getPresencesByUserId"))
        .count();
    assert_eq!(calls, 1, "the answer is remembered");
}
