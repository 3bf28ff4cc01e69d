//! The requests of the pretend tenant, as the bot reads them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use teleport_msteams::clock;
use teleport_msteams::config::{Limits, Proxies};
use teleport_msteams::domain::review::Verb;
use teleport_msteams::msteams::inbound::{
    Audience, Bearer, BodyRefusal, Event, InvokeAnswer, KeySource, Reply, Submit, Trigger,
};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use url::Url;

use super::REQUEST;
use crate::world::tenant::{Answer, Card, Fault, Repeat, Rule, Tenant, TenantOptions, User};

/// A bot that verifies and reads, and shows a line for every press.
struct Bot {
    tenant: Tenant,
    alice: User,
    seen: Arc<Mutex<Vec<Event>>>,
    /// Notified of each event.
    arrived: Arc<Notify>,
}

/// Answers a request as the bot does, with keys that are fetched for each.
async fn answer(source: &KeySource, audience: &Audience, headers: &HeaderMap, body: &[u8]) -> Result<Event, u16> {
    let bearer = Bearer::from_headers(headers).map_err(|_| 401_u16)?;
    let keys = source.fetch().await.map_err(|_| 503_u16)?;
    let key = keys.find(bearer.kid()).ok_or(401_u16)?.map_err(|_| 401_u16)?;
    let verified = bearer.verify(&key, audience, clock::now()).map_err(|_| 401_u16)?;
    Event::read(body, verified, audience).map_err(BodyRefusal::status)
}

impl Bot {
    async fn start() -> Self {
        let tenant = Tenant::start(TenantOptions::default()).await;
        let alice = tenant.add_user("Alice", Some("alice@example.com"), "alice@example.com");
        let (seen, arrived) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let options = tenant.options();
        let audience = Audience::new("https://api.botframework.com", &options.app_id, &options.tenant_id);
        let openid = Url::parse(&tenant.openid()).unwrap();
        let source = KeySource::new(&openid, &Proxies::default(), &Limits::default()).unwrap();
        let shared = Arc::new((source, audience, Arc::clone(&seen), Arc::clone(&arrived)));
        let handler = async move |headers: HeaderMap, body: Bytes| {
            let (source, audience, seen, arrived) = &*shared;
            match answer(source, audience, &headers, &body).await {
                Ok(event) => {
                    let pressed = Reply::Invoke(InvokeAnswer::message("Seen"));
                    let reply = event.standard_reply().unwrap_or(pressed);
                    seen.lock().unwrap().push(event);
                    arrived.notify_one();
                    (StatusCode::from_u16(reply.status()).unwrap(), reply.body())
                }
                Err(status) => (StatusCode::from_u16(status).unwrap(), Bytes::new()),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tenant.set_messaging_endpoint(&format!("http://{}/api/messages", listener.local_addr().unwrap()));
        let router = Router::new().route("/api/messages", post(handler));
        crate::world::spawn(async move { axum::serve(listener, router).await.is_ok() });
        Self {
            tenant,
            alice,
            seen,
            arrived,
        }
    }

    /// Returns the next event, in the order in which they arrived.
    async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.seen.lock().unwrap().pop() {
                return event;
            }
            self.arrived.notified().await;
        }
    }
}

/// A card whose second pair of buttons is unfolded.
fn card() -> Card {
    let button = |title: &str, verb: &str| json!({"type": "Action.Execute", "title": title, "verb": verb, "data": {"request": REQUEST}});
    let reason = json!({
        "type": "AdaptiveCard",
        "body": [{"type": "Input.Text", "id": "reason", "label": "Reason"}],
        "actions": [button("Approve with reason", "approve"), button("Deny with reason", "deny")],
    });
    let content = json!({
        "type": "AdaptiveCard",
        "body": [{"type": "TextBlock", "text": "A request"}],
        "actions": [
            button("Approve", "approve"),
            button("Deny", "deny"),
            {"type": "Action.ShowCard", "title": "Add a reason", "card": reason},
        ],
    });
    Card {
        conversation: "19:elsewhere@thread.tacv2".to_owned(),
        id: "1767765488332".to_owned(),
        history: vec![json!({"attachments": [{"content": content}]})],
        times: Vec::new(),
        deleted: false,
        confirmed: true,
    }
}

fn seen(answer: &Answer) -> bool {
    (answer.status, answer.outcome(), answer.message()) == (200, 200, Some("Seen"))
}

#[tokio::test]
async fn a_press_is_verified_and_read() {
    let bot = Bot::start().await;
    let approve = bot.tenant.press(&bot.alice, &card(), "approve", &[]);
    assert!(seen(&approve.send().await.unwrap()));
    let Event::Press(press) = bot.next().await else {
        panic!("it is a press");
    };
    assert_eq!(
        (press.verb, press.request.as_str(), &press.reason),
        (Verb::Approve, REQUEST, &None)
    );
    assert_eq!(press.person.object_id, bot.alice.id);
    assert_eq!(press.message.as_deref(), Some("1767765488332"));
    let deny = bot
        .tenant
        .press(&bot.alice, &card(), "deny", &[("reason", "not today")]);
    assert_eq!(deny.body()["value"]["action"]["title"], "Deny with reason");
    assert!(seen(&deny.automatic().send().await.unwrap()));
    let Event::Press(press) = bot.next().await else {
        panic!("it is a press");
    };
    assert_eq!(
        (press.verb, press.reason.as_deref(), press.trigger),
        (Verb::Deny, Some("not today"), Trigger::Automatic)
    );
    let old = bot.tenant.press(&bot.alice, &card(), "Deny", &[]).as_submit();
    assert!(seen(&old.send().await.unwrap()));
    let event = bot.next().await;
    assert!(
        matches!(&event, Event::Submit(Submit { press, is_message: true }) if press.verb == Verb::Deny),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_foreign_token_or_tenant_is_refused() {
    let bot = Bot::start().await;
    let press = || bot.tenant.press(&bot.alice, &card(), "Approve", &[]);
    for (press, expected) in [
        (press().claim("iss", json!("https://evil.example")), 401),
        (press().claim("exp", Value::Null), 401),
        (press().authorization(None), 401),
        (press().set("channelData.tenant.id", json!("other")), 403),
    ] {
        assert_eq!(press.send().await.unwrap().status, expected);
    }
    assert!(bot.seen.lock().unwrap().is_empty());
    let fetches = bot.tenant.key_fetches();
    bot.tenant.rotate_keys();
    assert!(seen(&press().send().await.unwrap()));
    assert_eq!(bot.tenant.key_fetches(), fetches + 1);
    let down = Rule::every("GET", "/.well-known/keys", Fault::Status(503, None));
    bot.tenant.faults(|faults| faults.rules.push(down));
    assert_eq!(press().send().await.unwrap().status, 503);
}

#[tokio::test]
async fn teams_repeats_a_press() {
    let bot = Bot::start().await;
    let repeat = Repeat {
        new_id: true,
        ..Repeat::default()
    };
    bot.tenant.faults(|faults| faults.repeat_presses = Some(repeat));
    let press = bot.tenant.press(&bot.alice, &card(), "Approve", &[]);
    assert!(seen(&press.send().await.unwrap()));
    let deliveries = bot.tenant.deliveries();
    let [first, second] = &deliveries[..] else {
        panic!("{deliveries:?}");
    };
    assert_ne!(first.body["id"], second.body["id"]);
    assert_eq!(first.body["value"], second.body["value"]);
}

#[tokio::test]
async fn installations_are_reported() {
    let bot = Bot::start().await;
    bot.tenant.uninstall(&bot.alice);
    let Event::Uninstalled(gone) = bot.next().await else {
        panic!("the app was uninstalled");
    };
    bot.tenant.install(&bot.alice);
    let Event::Installed(installed) = bot.next().await else {
        panic!("the app was installed");
    };
    assert_eq!(gone, installed);
    assert_eq!(installed.chat.person.unwrap().object_id, bot.alice.id);
    assert!(installed.chat.conversation.starts_with("a:"));
    bot.tenant.message(&bot.alice, "hello").send().await.unwrap();
    assert!(matches!(bot.next().await, Event::Text(_)));
}
