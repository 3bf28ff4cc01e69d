//! What reviewers see of their cards, version by version: a card that shows a wrong state for a moment fails the test.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::daemon::Daemon;
use crate::support::town::{ALICE, BOB, PATIENCE, Town};
use crate::world::reading::{card_of, request_of, word_of};
use crate::world::tenant::Card;

/// How many versions of each card the test has checked, by conversation and message id.
#[derive(Default)]
pub(crate) struct Seen(Mutex<HashMap<(String, String), usize>>);

impl Seen {
    /// Returns the words of those versions of a card that the test has not checked. How many versions a shared card has
    /// depends on how many changes arrive together.
    fn unread(&self, card: &Card) -> Vec<String> {
        if !rows(card).is_empty() {
            return Vec::new();
        }
        let key = (card.conversation.clone(), card.id.clone());
        let known = self.0.lock().unwrap().get(&key).copied().unwrap_or_default();
        card.history[known..].iter().map(word).collect()
    }

    fn mark(&self, card: &Card) {
        let key = (card.conversation.clone(), card.id.clone());
        self.0.lock().unwrap().insert(key, card.history.len());
    }
}

impl Town {
    /// Returns the messages in the chat of an email address, or in a channel by its link.
    pub(crate) fn chat(&self, who: &str) -> Vec<Card> {
        if who.contains("://") {
            self.tenant.channel_cards(who)
        } else {
            self.tenant.chat_of(who)
        }
    }

    /// Waits until the cards of a chat show these words, as in `PENDING` or `APPROVED`.
    ///
    /// Each card must be at the next version after the one that the test checked last, or still at that one.
    pub(crate) async fn sees(&self, who: &str, words: &[&str]) {
        let right = |cards: &[Card]| {
            for card in cards {
                let unread = self.seen.unread(card);
                assert!(unread.len() < 2, "{who} saw {unread:?} on the way to {words:?}");
            }
            words_of(cards) == words
        };
        for card in self.until_chat(who, &format!("{words:?}"), right).await {
            self.seen.mark(&card);
        }
    }

    /// Waits until Alice and Bob, who are notified of every request for `dba`, see this.
    pub(crate) async fn both_see(&self, words: &[&str]) {
        self.sees(ALICE, words).await;
        self.sees(BOB, words).await;
    }

    /// Waits until the newest card of a chat shows the last of these words, after exactly these versions.
    pub(crate) async fn then_sees(&self, who: &str, versions: &[&str]) {
        let right = |cards: &[Card]| cards.last().is_some_and(|card| self.seen.unread(card) == versions);
        let what = format!("one version after another: {versions:?}");
        let cards = self.until_chat(who, &what, right).await;
        self.seen.mark(cards.last().unwrap());
    }

    /// Waits until the cards of a chat show these words, by way of versions with the words in `between` only.
    ///
    /// For states that the daemon may show or skip, depending on what it has received when it updates the card.
    pub(crate) async fn sees_after(&self, who: &str, between: &[&str], words: &[&str]) {
        let right = |cards: &[Card]| words_of(cards) == words;
        for card in self.until_chat(who, &format!("{words:?}"), right).await {
            let mut unread = self.seen.unread(&card);
            unread.pop();
            let wrong = unread.iter().find(|word| !between.contains(&word.as_str()));
            assert!(wrong.is_none(), "{who} saw {unread:?} on the way to {words:?}");
            self.seen.mark(&card);
        }
    }

    /// Waits until the newest card of a chat contains this text, at the next version or at the one last checked.
    pub(crate) async fn reads(&self, who: &str, text: &str) {
        let right = |cards: &[Card]| {
            let Some(card) = cards.last() else { return false };
            let unread = self.seen.unread(card);
            assert!(unread.len() < 2, "{who} saw {unread:?} on the way to {text:?}");
            newest(card).to_string().contains(text)
        };
        let cards = self.until_chat(who, &format!("{text:?}"), right).await;
        self.seen.mark(cards.last().unwrap());
    }

    /// Waits until the rows of the shared cards of a chat are right, all in one list.
    pub(crate) async fn shares(&self, who: &str, what: &str, right: impl Fn(&[Row]) -> bool) {
        let rows = |cards: &[Card]| cards.iter().flat_map(rows).collect::<Vec<_>>();
        self.until_chat(who, what, |cards| right(&rows(cards))).await;
    }

    /// Waits until the cards of a chat are right, and returns them as they were at that moment.
    async fn until_chat(&self, who: &str, what: &str, right: impl Fn(&[Card]) -> bool) -> Vec<Card> {
        let mut changes = self.tenant.changes();
        let waiting = async {
            loop {
                let cards = self.chat(who);
                if right(&cards) {
                    return cards;
                }
                changes.changed().await.unwrap();
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| {
            let cards = self.chat(who);
            let shown: Vec<Vec<_>> = cards
                .iter()
                .map(|card| card.history.iter().map(word).collect())
                .collect();
            let newest = cards.last().map(|card| newest(card).to_string()).unwrap_or_default();
            let log = self.daemons.last().map(Daemon::log).unwrap_or_default();
            panic!("{who} sees {shown:?}, not {what}; the newest card is {newest}\n{log}")
        })
    }

    /// Fails if a card has a version that the test did not check.
    pub(super) fn check_unread(&self) {
        for (chat, card) in self.tenant.cards() {
            let unread = self.seen.unread(&card);
            let all: Vec<_> = card.history.iter().map(word).collect();
            assert!(unread.is_empty(), "unread in {chat}: {unread:?} of {all:?}");
        }
    }
}

/// One request on a shared card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Who requests what.
    pub(crate) head: String,
    /// The word of the state, as on a card.
    pub(crate) word: String,
    /// The state and the number of reviews.
    pub(crate) state: String,
    json: String,
}

impl Row {
    pub(crate) fn is_of(&self, id: &str) -> bool {
        self.json.contains(id)
    }
}

/// Returns the requests on a card; none if it is not shared.
pub(crate) fn rows(card: &Card) -> Vec<Row> {
    let body = card_of(newest(card))["body"].as_array().cloned().unwrap_or_default();
    let rows = body.iter().filter_map(|row| {
        let text = |number: usize| Some(row["items"][number]["text"].as_str()?.to_owned());
        let (head, state) = (text(0)?, text(1)?);
        let word = state.split(' ').next().unwrap_or_default().to_uppercase();
        let json = row.to_string();
        state.contains(" · ").then_some(Row {
            head,
            word,
            state,
            json,
        })
    });
    rows.collect()
}

fn words_of(cards: &[Card]) -> Vec<String> {
    cards.iter().map(|card| word(newest(card))).collect()
}

pub(crate) fn newest(card: &Card) -> &Value {
    card.history.last().unwrap()
}

/// Returns the word that shows the request's state.
pub(super) fn word(activity: &Value) -> String {
    word_of(card_of(activity)).to_owned()
}

#[test]
fn the_id_and_the_word_are_found_anywhere_in_a_card() {
    let id = "018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11";
    let card = json!({ "body": [
        { "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": format!("Access Request {id}") }] },
        { "type": "ColumnSet", "columns": [{ "items": [{ "type": "TextBlock", "text": "❌ Denied" }] }] },
        { "type": "TextBlock", "text": "APPROVED" },
    ]});
    assert_eq!(request_of(&card), id);
    assert_eq!(word_of(&card), "DENIED");
}

#[test]
fn a_card_without_them_has_none() {
    assert_eq!(
        word_of(&json!({ "body": [{ "type": "TextBlock", "text": "Denied by alice" }] })),
        "?"
    );
    assert_eq!(request_of(&json!(null)), "");
}
