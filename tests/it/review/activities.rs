//! What Teams sends besides presses.

use serde_json::{Value, json};

use super::{Desk, answered, refused, shows};
use crate::clouds::in_cloud;
use crate::support::{ALICE, for_alice};
use crate::world::cluster::Draft;
use crate::world::tenant::{Cloud, Inbound, TenantOptions};

#[tokio::test]
async fn people_who_write_to_the_bot_get_one_answer_an_hour() {
    let desk = Desk::start().await;
    let alice = desk.town.people["Alice"].clone();
    for _ in 0..3 {
        let answer = desk.town.tenant.message(&alice, "hello?").send().await.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    }
    let bob = desk.town.people["Bob"].clone();
    desk.town.tenant.message(&bob, "hi").send().await.unwrap();
    assert!(desk.texts(&bob, 1).await[0].contains("does not read messages"));
    assert_eq!(desk.texts(&alice, 1).await.len(), 1);
    desk.town.finish().await;
}

#[tokio::test]
async fn an_uninstalled_app_is_installed_again_for_the_next_card() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    let lookups = || {
        let calls = desk.town.tenant.calls().into_iter();
        calls.filter(|call| call.path.ends_with("/v3/conversations")).count()
    };
    let before = lookups();
    let alice = &desk.town.people["Alice"];
    desk.town.tenant.installation(alice, "remove").send().await.unwrap();
    let id = desk.town.cluster.create(for_alice());
    desk.town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    desk.town.settled(&id).await;
    assert!(lookups() > before, "the chat is looked up again");
    desk.town.finish().await;
}

#[tokio::test]
async fn a_person_who_installs_the_app_is_looked_up_again() {
    let mut desk = Desk::build().await;
    let config = desk.config("").replace("dba = [", "ops = \"new@example.com\"\ndba = [");
    let settings = desk.town.settings(&config);
    desk.start_daemon_on(settings).await;
    let id = desk.town.cluster.create(Draft {
        roles: vec!["ops".to_owned()],
        ..Draft::default()
    });
    let unknown = "Cannot notify recipient";
    desk.town.daemon().says(unknown).await;
    let new = desk
        .town
        .tenant
        .add_user("New", Some("new@example.com"), "new@example.com");
    desk.town.tenant.installation(&new, "add").send().await.unwrap();
    desk.town.sees("new@example.com", &["PENDING"]).await;
    desk.town.settled(&id).await;
    desk.town.finish().await;
}

#[tokio::test]
async fn a_client_that_refreshes_a_card_reviews_nothing() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let answer = answered(desk.pressing("Alice", "approve", None).automatic()).await;
    assert!(
        answer.error().unwrap().contains("Use the link on the card"),
        "{answer:?}"
    );
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn other_activities_are_accepted_and_unknown_invokes_are_not_implemented() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    for (kind, name, status) in [
        ("messageReaction", Value::Null, 200),
        ("typing", Value::Null, 200),
        ("somethingNew", Value::Null, 200),
        ("invoke", json!("task/fetch"), 501),
    ] {
        let press = desk.pressing("Alice", "approve", None);
        let press = press.set("type", json!(kind)).set("name", name);
        let answer = press.send().await.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (status, ""), "{kind}");
    }
    // The older kind of button, which an old client may make of it.
    let answer = desk
        .pressing("Alice", "approve", None)
        .as_submit()
        .send()
        .await
        .unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert!(desk.texts(&desk.town.people["Alice"], 1).await[0].contains("Use the buttons"));
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn a_button_that_cannot_be_understood_has_an_answer() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    for (path, value) in [
        ("value.action.verb", json!("promote")),
        ("value.action.data.request", json!("a b")),
        ("value.action.data", Value::Null),
    ] {
        let answer = answered(desk.pressing("Alice", "approve", None).set(path, value)).await;
        assert!(answer.error().unwrap().contains("Use the link"), "{path}: {answer:?}");
    }
    let nameless = desk
        .pressing("Alice", "approve", None)
        .set("from.aadObjectId", Value::Null);
    refused(&answered(nameless).await, "did not name your account");
    assert_eq!(desk.reviews(&id), []);
    desk.town.finish().await;
}

#[tokio::test]
async fn the_address_of_the_service_is_learnt_from_a_press_unless_it_is_elsewhere() {
    let desk = Desk::start().await;
    let id = desk.asked().await;
    let path = format!("apac/{}", desk.town.tenant.options().tenant_id);
    let own = desk.town.tenant.serve_bot_at(&format!("{path}/"));
    let own = own.replace("http://", "https://");
    let served = |prefix: String| {
        let calls = desk.town.tenant.calls().into_iter();
        calls
            .filter(|call| call.method == "PUT" && call.path.starts_with(&prefix))
            .count()
    };
    // The token of the request is genuine, but ours goes to the configured host only.
    let elsewhere = "https://smba.trafficmanager.net/emea/";
    let at = |press: Inbound, url: &str| press.set("serviceUrl", json!(url)).claim("serviceurl", json!(url));
    let press = desk.pressing("Bob", "approve", None).automatic();
    answered(at(press, elsewhere)).await;
    desk.town.daemon().says("Address of the Bot connector ignored").await;
    let press = desk.pressing("Alice", "approve", None);
    shows(&answered(at(press, &own)).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    assert_eq!(
        (served("/bot/teams".to_owned()), served(format!("/bot/{path}/v3"))),
        (0, 1)
    );
    desk.town.finish().await;
}

#[tokio::test]
async fn a_press_is_accepted_in_another_cloud() {
    let cloud = Cloud::GccHigh;
    let mut desk = Desk::build_with(TenantOptions {
        cloud,
        ..TenantOptions::default()
    })
    .await;
    let settings = desk.town.settings(&in_cloud(&desk.config(""), cloud));
    desk.start_daemon_on(settings).await;
    let id = desk.asked().await;
    shows(&desk.press("Alice", "approve", None).await, "Approved");
    desk.town.sees(ALICE, &["APPROVED"]).await;
    desk.town.settled(&id).await;
    // The issuer of the public cloud is none of this one.
    let message = desk.town.tenant.message(&desk.town.people["Alice"], "hello?");
    let foreign = message.claim("iss", json!("https://api.botframework.com"));
    let foreign = foreign.send().await.unwrap();
    assert_eq!(foreign.status, 401);
    desk.town.finish().await;
}
