//! A snapshot of both sides, which the page draws and the story checks.
//!
//! Architecture Invariant: the only file that compares the two sides and decides whether a card is up to date.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde_json::Value;

use crate::company::Chat;
use crate::ledger::{Entry, Ledger};
use world::reading;
use world::reading::Kind;
use world::tenant::{Card, Text};
use world::types::RequestState;

/// The number of requests that the page lists, newest first.
const REQUESTS_SHOWN: usize = 60;

/// The number of cards that the page draws in one chat.
const CARDS_SHOWN: usize = 40;

/// The number of characters of a reason that the page shows.
const CHARS_SHOWN: usize = 500;

#[derive(Debug, Serialize)]
pub struct View {
    pub cluster: ClusterView,
    pub daemon: DaemonView,
    pub microsoft: MicrosoftView,
    pub verdict: Verdict,
    pub roles: Vec<RoleView>,
    pub people: Vec<Person>,
    pub requests: Vec<RequestView>,
    pub chats: Vec<ChatView>,
}

#[derive(Debug, Serialize)]
pub struct ClusterView {
    pub name: String,
    pub up: bool,
    pub watches: usize,
}

#[derive(Debug, Serialize)]
pub struct DaemonView {
    pub state: &'static str,
    pub note: String,
}

#[derive(Debug, Serialize)]
pub struct MicrosoftView {
    pub mode: &'static str,
    pub throttled: usize,
    /// Teams sends every press twice.
    pub repeats_presses: bool,
    pub keys_are_down: bool,
}

/// The number of requests, of cards, and of cards that are up to date.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    pub requests: usize,
    pub cards: usize,
    pub up_to_date: usize,
}

#[derive(Debug, Serialize)]
pub struct RoleView {
    pub name: &'static str,
    pub recipients: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Person {
    pub name: String,
    pub mail: String,
}

#[derive(Debug, Serialize)]
pub struct RequestView {
    pub id: String,
    pub user: String,
    pub roles: Vec<String>,
    pub reason: String,
    pub stage: String,
    pub gone: bool,
    pub created: i64,
    pub resolve_reason: String,
    pub promoted_to: String,
    pub reviews: Vec<ReviewView>,
    pub suggested: Vec<String>,
    pub resources: Vec<String>,
    pub notified: Vec<Notified>,
}

#[derive(Debug, Serialize)]
pub struct ReviewView {
    pub author: String,
    pub verdict: &'static str,
    pub reason: String,
}

/// A chat that has a card of the request.
#[derive(Debug, Serialize)]
pub struct Notified {
    pub chat: String,
    pub title: String,
    pub says: &'static str,
    pub up_to_date: bool,
}

#[derive(Debug, Serialize)]
pub struct ChatView {
    #[serde(flatten)]
    pub chat: Chat,
    /// `ok`, `blocked` or `missing`.
    pub standing: &'static str,
    pub texts: Vec<TextView>,
    pub cards: Vec<CardView>,
}

/// A message without a card.
#[derive(Debug, Serialize)]
pub struct TextView {
    pub id: String,
    pub at: i64,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub struct CardView {
    pub id: String,
    /// `card`, `decision`, `reminder`, `ending` or `review due`.
    pub kind: &'static str,
    pub request: String,
    pub says: &'static str,
    /// Also true for a message that does not show the state of the request.
    pub up_to_date: bool,
    pub versions: Vec<Version>,
    /// The messages in its thread.
    pub replies: Vec<Self>,
    #[serde(skip)]
    pub shows_state: bool,
}

/// One version of a card: as posted, or after an edit.
#[derive(Debug, Serialize)]
pub struct Version {
    pub at: i64,
    pub says: &'static str,
    pub summary: String,
    pub card: Value,
}

impl View {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a view can always be serialized")
    }

    /// Returns the cards of one request that follow it, each with the ID of its chat.
    pub fn cards_of<'a>(&'a self, request: &'a str) -> impl Iterator<Item = (&'a str, &'a CardView)> {
        self.about(request).filter(|(_, card)| card.kind == Kind::Card.as_str())
    }

    /// Returns the messages with the decision of one request, each with the ID of its chat.
    pub fn decisions_of<'a>(&'a self, request: &'a str) -> impl Iterator<Item = (&'a str, &'a CardView)> {
        let decision = Kind::Decision.as_str();
        self.about(request).filter(move |(_, card)| card.kind == decision)
    }

    fn about<'a>(&'a self, request: &'a str) -> impl Iterator<Item = (&'a str, &'a CardView)> {
        let cards = |chat: &'a ChatView| chat.cards.iter().map(|card| (chat.chat.id.as_str(), card));
        self.chats
            .iter()
            .flat_map(cards)
            .filter(move |(_, card)| card.request == request)
    }
}

impl Verdict {
    pub fn new(ledger: &Ledger, chats: &[ChatView]) -> Self {
        let cards = || {
            let all = chats.iter().flat_map(|chat| &chat.cards);
            all.filter(|card| card.shows_state)
        };
        Self {
            requests: ledger.newest_first().len(),
            cards: cards().count(),
            up_to_date: cards().filter(|card| card.up_to_date).count(),
        }
    }
}

impl RoleView {
    pub fn new(name: &'static str, chats: &[&Chat]) -> Self {
        let recipients = chats.iter().map(|chat| chat.title.clone()).collect();
        Self { name, recipients }
    }
}

impl Person {
    pub fn new(chat: &Chat) -> Self {
        Self {
            name: chat.title.clone(),
            mail: chat.id.clone(),
        }
    }
}

impl ChatView {
    /// Removes all but the newest cards, which the page draws.
    pub fn leave_newest(&mut self) {
        let surplus = self.cards.len().saturating_sub(CARDS_SHOWN);
        self.cards.drain(..surplus);
    }
}

impl CardView {
    /// Reads every version of a card, and compares the newest with the ledger.
    pub fn new(card: &Card, ledger: &Ledger) -> Self {
        let newest = card.history.last().map_or(&Value::Null, reading::card_of);
        let kind = Kind::of(card.history.first().unwrap_or(&Value::Null));
        let (request, says) = (reading::request_of(newest), reading::word_of(newest));
        let versions = card.history.iter().zip(&card.times).map(|(activity, at)| Version {
            at: milliseconds(*at),
            says: reading::word_of(reading::card_of(activity)),
            summary: activity["summary"].as_str().unwrap_or_default().to_owned(),
            card: reading::card_of(activity).clone(),
        });
        Self {
            id: card.id.clone(),
            kind: kind.as_str(),
            shows_state: kind.shows_state(),
            up_to_date: !kind.shows_state() || ledger.find(&request).is_some_and(|entry| entry.word() == says),
            request,
            says,
            versions: versions.collect(),
            replies: Vec::new(),
        }
    }
}

impl TextView {
    pub fn new(text: &Text) -> Self {
        Self {
            id: text.id.clone(),
            at: milliseconds(text.at),
            text: text.text.clone(),
        }
    }
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Returns the newest requests, each with the chats that have a card of it.
pub fn requests(ledger: &Ledger, chats: &[ChatView]) -> Vec<RequestView> {
    let newest = ledger.newest_first().into_iter().take(REQUESTS_SHOWN);
    newest.map(|(id, entry)| request(id, entry, chats)).collect()
}

fn request(id: &str, entry: &Entry, chats: &[ChatView]) -> RequestView {
    let spec = entry.request.spec.clone().unwrap_or_default();
    let cards = chats
        .iter()
        .flat_map(|chat| chat.cards.iter().map(move |card| (chat, card)));
    let notified = cards
        .filter(|(_, card)| card.request == id && card.kind == Kind::Card.as_str())
        .map(|(chat, card)| Notified {
            chat: chat.chat.id.clone(),
            title: chat.chat.title.clone(),
            says: card.says,
            up_to_date: card.up_to_date,
        });
    let older = spec.requested_resource_ids.iter();
    let newer = spec
        .requested_resource_access_ids
        .iter()
        .filter_map(|access| access.id.as_ref());
    let resources = older
        .chain(newer)
        .map(|resource| format!("{}/{}", resource.kind, resource.name));
    let reviews = spec.reviews.iter().map(|review| ReviewView {
        author: review.author.clone(),
        verdict: match review.proposed_state() {
            RequestState::Approved => "approve",
            RequestState::Denied => "deny",
            RequestState::Promoted => "promote",
            RequestState::Pending | RequestState::None => "other",
        },
        reason: shortened(&review.reason),
    });
    RequestView {
        stage: entry.word().to_lowercase(),
        gone: entry.gone,
        created: spec
            .created
            .as_ref()
            .map_or(0, |time| time.seconds * 1000 + i64::from(time.nanos) / 1_000_000),
        reason: shortened(&spec.request_reason),
        resolve_reason: shortened(&spec.resolve_reason),
        promoted_to: spec
            .access_list
            .as_ref()
            .map(|list| list.title.clone())
            .unwrap_or_default(),
        reviews: reviews.collect(),
        resources: resources.collect(),
        notified: notified.collect(),
        id: id.to_owned(),
        user: spec.user,
        roles: spec.roles,
        suggested: spec.suggested_reviewers,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(CHARS_SHOWN).collect()
}
