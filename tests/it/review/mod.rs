//! Approving and denying in Teams, from a press of a button to the updated cards.

mod activities;
mod attack;
mod keys;
mod once;
mod outcomes;
mod settings;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teleport_msteams::config::Settings;

use crate::support::{ALICE, Town, for_alice};
use crate::world::cluster::{ClusterOptions, Draft};
use crate::world::reading::card_of;
use crate::world::tenant::{Answer, Card, Inbound, TenantOptions, User};

/// How long a person waits for the answer to a press.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// A town whose daemon takes presses, and whose people are Teleport users.
struct Desk {
    town: Town,
}

impl Desk {
    async fn start() -> Self {
        Self::start_with("", |settings| settings).await
    }

    /// Starts a daemon with further lines of `[review]`, and changed settings.
    async fn start_with(lines: &str, change: impl FnOnce(Settings) -> Settings) -> Self {
        let mut desk = Self::build().await;
        let settings = desk.town.settings(&desk.config(lines));
        desk.start_daemon_on(change(settings)).await;
        desk
    }

    /// Starts a daemon that finds the users of members by their names, because no user has the trait; Graph shows who is a member.
    async fn start_with_names(change: impl FnOnce(&Town)) -> Self {
        let mut options = TenantOptions::default();
        options.roles.push("User.Read.All");
        let mut desk = Self::build_with(options).await;
        for name in ["alice", "bob", "carol", "dan", "eve"] {
            desk.town.cluster.set_traits(name, false, &[]);
        }
        change(&desk.town);
        let settings = desk.town.settings(&desk.config("allow_email_username_match = true"));
        desk.start_daemon_on(settings).await;
        desk
    }

    /// Builds everything but the daemon. Everyone has the trait that links their user.
    async fn build() -> Self {
        Self::build_with(TenantOptions::default()).await
    }

    async fn build_with(tenant: TenantOptions) -> Self {
        let town = Town::build_with(ClusterOptions::default(), tenant).await;
        for (name, person) in &town.people {
            let user = name.to_lowercase();
            town.cluster
                .set_traits(&user, false, &[("teams_user_id", &[&person.id])]);
        }
        Self { town }
    }

    fn config(&self, lines: &str) -> String {
        let review = format!("[review]\nenabled = true\nlisten = \"127.0.0.1:0\"\n{lines}");
        format!("{}\n{review}", self.town.config())
    }

    /// Starts a daemon; Teams sends presses to the newest one.
    async fn start_daemon_on(&mut self, settings: Settings) {
        self.town.start_daemon_on(settings).await;
        let url = self.url();
        self.town.tenant.set_messaging_endpoint(&url);
        self.town
            .daemon()
            .says("Keys that verify requests from Teams fetched")
            .await;
    }

    /// Returns the messaging endpoint of the newest daemon.
    fn url(&self) -> String {
        let log = self.town.daemon().log();
        let line = log
            .lines()
            .find(|line| line.contains("Serving button presses from Teams"));
        let line = line.unwrap();
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=")).unwrap();
            rest.split(' ').next().unwrap().trim_matches('"').to_owned()
        };
        let scheme = if field("tls") == "true" { "https" } else { "http" };
        format!("{scheme}://{}{}", field("address"), field("path"))
    }

    /// Creates a request for Alice alone, and returns its ID when she has the card.
    async fn asked(&self) -> String {
        self.asked_for(for_alice()).await
    }

    /// Does the same for another request of which only Alice is notified.
    async fn asked_for(&self, draft: Draft) -> String {
        let id = self.town.cluster.create(draft);
        self.town.sees(ALICE, &["PENDING"]).await;
        self.town.settled(&id).await;
        id
    }

    /// Returns the newest card in the chat of a person.
    fn card(&self, mail: &str) -> Card {
        self.town.chat(mail).pop().unwrap()
    }

    /// Prepares a press of a button of Alice's card by a person.
    fn pressing(&self, person: &str, button: &str, reason: Option<&str>) -> Inbound {
        let inputs: Vec<_> = reason.map(|reason| ("reason", reason)).into_iter().collect();
        let person = &self.town.people[person];
        self.town.tenant.press(person, &self.card(ALICE), button, &inputs)
    }

    /// Prepares a press of a button of the first version of Alice's card, which a client may still show.
    fn pressing_old(&self, person: &str, button: &str) -> Inbound {
        let card = self.card(ALICE);
        let shown = card_of(&card.history[0]);
        let press = self
            .town
            .tenant
            .press_on(&self.town.people[person], &card, shown, button, &[]);
        press.unwrap()
    }

    /// Presses a button of Alice's card, and returns the answer, which comes in time.
    async fn press(&self, person: &str, button: &str, reason: Option<&str>) -> Answer {
        answered(self.pressing(person, button, reason)).await
    }

    /// Prepares a press that Alice's client makes up, for any request.
    fn forged(&self, person: &str, id: &str) -> Inbound {
        let card = self.card(ALICE);
        let action = json!({"type": "Action.Execute", "verb": "approve", "data": {"request": id}});
        let shown = json!({"type": "AdaptiveCard", "actions": [action]});
        let person = &self.town.people[person];
        self.town
            .tenant
            .press_on(person, &card, &shown, "approve", &[])
            .unwrap()
    }

    /// Waits for this many texts in the bot's chat with a person.
    async fn texts(&self, person: &User, count: usize) -> Vec<String> {
        let mut changes = self.town.tenant.changes();
        let waiting = async {
            while self.town.tenant.texts_of(person).len() < count {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
        let texts = self.town.tenant.texts_of(person).into_iter();
        texts.map(|text| text.text).collect()
    }

    /// Returns who reviewed the request, and how.
    fn reviews(&self, id: &str) -> Vec<(String, i32, String)> {
        let reviews = self.town.cluster.reviews(id).into_iter();
        let reviews = reviews.map(|review| (review.author, review.proposed_state, review.reason));
        reviews.collect()
    }
}

/// States of a request on the wire.
const APPROVED: i32 = 2;
const DENIED: i32 = 3;

/// Sends a press, and returns the answer, which comes in time and is never empty.
async fn answered(press: Inbound) -> Answer {
    let begun = Instant::now();
    let answer = press.send().await.unwrap();
    assert!(begun.elapsed() < ANSWERED_WITHIN, "{:?}", begun.elapsed());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ne!(answer.body, Value::Null, "{answer:?}");
    answer
}

/// Expects a sentence with this part, which only the person who pressed the button sees.
#[track_caller]
fn refused(answer: &Answer, part: &str) {
    let message = answer.message().unwrap_or_else(|| panic!("{answer:?}"));
    assert!(message.contains(part), "{part:?} is not in {message:?}");
    assert_eq!(answer.outcome(), 200);
}

/// Expects the card of this stage.
#[track_caller]
fn shows(answer: &Answer, status: &str) {
    let card = answer.card().unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(card["type"], json!("AdaptiveCard"));
    assert!(card["body"][0]["text"].as_str().unwrap().contains(status), "{card:#}");
    let actions = card["actions"].to_string();
    assert!(
        !actions.contains("Action.Execute"),
        "the person has reviewed: {actions}"
    );
}
