//! The fake Microsoft tenant as a separate program, for a daemon that watches a real Teleport (`tests/real/run`).
//!
//! `tenant alice@example.com bob@example.com` prints one line of JSON: the values for the daemon's configuration, and the
//! URL of the cards. It runs until its standard input is closed.

#![expect(clippy::print_stdout, reason = "the calling script reads the first line")]

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use world::port;
use world::reading;
use world::tenant::{Card, Tenant, TenantOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let recipients: Vec<String> = std::env::args().skip(1).collect();
    let tenant = Tenant::start(TenantOptions::default()).await;
    for recipient in &recipients {
        tenant.add_user(recipient, Some(recipient), recipient);
    }
    let (listener, address) = port::listen().await;
    println!("{}", describe(&tenant, &address));
    let cards = move || async move { Json(cards(&tenant, &recipients)) };
    let router = Router::new().route("/cards", get(cards));
    tokio::select! {
        served = axum::serve(listener, router) => served.context("could not serve the cards"),
        _ = closed() => Ok(()),
    }
}

/// Waits on a thread until standard input is closed, which happens whenever the calling script ends.
fn closed() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        // A failed read means the same as the end of the input.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        sender.send(())
    });
    receiver
}

fn describe(tenant: &Tenant, address: &str) -> Value {
    let options = tenant.options();
    json!({
        "cards": format!("http://{address}/cards"),
        "login": tenant.login(),
        "graph": tenant.graph(),
        "bot": tenant.bot(),
        "app_id": options.app_id,
        "app_secret": options.app_secret,
        "tenant_id": options.tenant_id,
        "teams_app_id": options.teams_app_id,
    })
}

/// Returns every card: its recipient, its request, the states that it has shown, and the newest content.
fn cards(tenant: &Tenant, recipients: &[String]) -> Vec<Value> {
    let cards = recipients.iter().flat_map(|recipient| {
        let chat = tenant.chat_of(recipient).into_iter();
        chat.map(move |card| (recipient, card))
    });
    cards.map(|(recipient, card)| read(recipient, &card)).collect()
}

fn read(recipient: &str, card: &Card) -> Value {
    let contents: Vec<&Value> = card.history.iter().map(reading::card_of).collect();
    let words: Vec<&str> = contents.iter().map(|content| reading::word_of(content)).collect();
    let newest = contents.last();
    json!({
        "recipient": recipient,
        "request": newest.map(|content| reading::request_of(content)),
        "words": words,
        "content": newest,
    })
}
