//! Encodes the cards of a record. Keys and encodings of `messages` are the Go plugin's, byte for byte.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

use crate::domain::lifecycle::stored::{is_false, json, other_audience, shown};
use crate::domain::lifecycle::{Audience, Posted, Recipient, Record};

/// An entry of `messages`; the order of the fields is part of the encoding.
#[derive(Deserialize, Serialize)]
struct Message {
    id: String,
    ts: String,
    rid: String,
}

/// Facts about one card that `messages` cannot hold.
#[derive(Deserialize, Serialize)]
struct Card {
    id: String,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
    #[serde(rename = "f", default, skip_serializing_if = "String::is_empty")]
    facts: String,
    #[serde(rename = "again", default, skip_serializing_if = "is_false")]
    replacement: bool,
    /// The index of the card in `messages`, if its ID is ambiguous.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
    /// The audience, unless the card is for the reviewers.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
}

/// A card that is not in `messages`, because the Go plugin would draw the card of a reviewer in its place.
#[derive(Deserialize, Serialize)]
struct OtherCard {
    #[serde(rename = "for")]
    audience: String,
    id: String,
    ts: String,
    rid: String,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
    #[serde(rename = "f", default, skip_serializing_if = "String::is_empty")]
    facts: String,
    #[serde(rename = "again", default, skip_serializing_if = "is_false")]
    replacement: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    digest: bool,
}

impl Record {
    /// Returns whether a stored record has a card that is shared with other requests, without decoding all of it.
    pub fn has_shared_card(map: &BTreeMap<String, String>) -> bool {
        let others = map.get("x_other_cards").map(|others| other_cards(others));
        others.is_some_and(|others| {
            others
                .iter()
                .any(|(_, card)| card.as_ref().is_some_and(|card| card.digest))
        })
    }

    /// Decodes the cards from `messages`, `x_cards` and `x_other_cards`; entries that cannot be parsed are kept.
    pub(super) fn decode_cards(&mut self, messages: &str, cards: &str, others: &str) {
        for entry in messages.split(',').filter(|entry| !entry.is_empty()) {
            match message(entry) {
                Some(message) => self.cards.push(posted(message)),
                None => self.unreadable.push(entry.to_owned()),
            }
        }
        let known: Vec<Card> = serde_json::from_str(cards).unwrap_or_default();
        let mut taken = vec![false; self.cards.len()];
        for card in known {
            let fits = |(place, posted): &(usize, &mut Posted)| !taken[*place] && posted.activity == card.id;
            let is_named = |place: usize| card.place.is_none_or(|named| named == place);
            let mut fitting = self.cards.iter_mut().enumerate().filter(fits);
            let found = fitting.find(|(place, _)| is_named(*place));
            if let Some((place, posted)) = found {
                posted.conversation = card.conversation;
                posted.shown = card.shown.and_then(|stage| shown(&stage, &card.facts));
                posted.replacement = card.replacement;
                let audience = card.audience.as_deref().and_then(Audience::parse);
                posted.recipient.audience = audience.unwrap_or(Audience::Reviewers);
                taken[place] = true;
            }
        }
        for (other, card) in other_cards(others) {
            match card.and_then(other_posted) {
                Some(card) => self.cards.push(card),
                None => self.unreadable_others.push(other.to_string()),
            }
        }
    }

    /// Returns the cards that stand in `messages`, in this order.
    fn messages_cards(&self) -> impl Iterator<Item = &Posted> {
        self.cards.iter().filter(|card| is_in_messages(card))
    }

    /// Encodes the cards that the Go plugin knows, as it writes them.
    pub(super) fn messages(&self) -> String {
        let entries = self.messages_cards().map(|card| {
            let message = Message {
                id: card.activity.clone(),
                ts: card.posted.clone(),
                rid: card.recipient.name.clone(),
            };
            STANDARD.encode(as_go_writes(&json(&message)))
        });
        let entries: Vec<_> = entries.chain(self.unreadable.iter().cloned()).collect();
        entries.join(",")
    }

    /// Encodes what `messages` cannot hold of these cards.
    pub(super) fn known_cards(&self) -> String {
        let mut ids = HashMap::new();
        for card in self.messages_cards() {
            *ids.entry(card.activity.as_str()).or_insert(0_usize) += 1;
        }
        let cards = self.messages_cards().enumerate();
        let known: Vec<_> = cards
            .filter(|(_, card)| card.conversation.is_some() || card.shown.is_some())
            .map(|(place, card)| Card {
                id: card.activity.clone(),
                conversation: card.conversation.clone(),
                shown: card.shown.map(|shown| shown.to_string()),
                facts: card.shown.map(|shown| shown.facts.to_string()).unwrap_or_default(),
                replacement: card.replacement,
                place: Some(place).filter(|_| ids.get(card.activity.as_str()) > Some(&1)),
                audience: other_audience(card.recipient.audience),
            })
            .collect();
        if known.is_empty() { String::new() } else { json(&known) }
    }

    /// Encodes the cards that are not in `messages`.
    pub(super) fn other_cards(&self) -> String {
        let others = self.cards.iter().filter(|card| !is_in_messages(card));
        let others: Vec<_> = others
            .map(|card| OtherCard {
                audience: card.recipient.audience.as_str().to_owned(),
                id: card.activity.clone(),
                ts: card.posted.clone(),
                rid: card.recipient.name.clone(),
                conversation: card.conversation.clone(),
                shown: card.shown.map(|shown| shown.to_string()),
                facts: card.shown.map(|shown| shown.facts.to_string()).unwrap_or_default(),
                replacement: card.replacement,
                digest: card.digest,
            })
            .collect();
        let others = others.iter().map(json).chain(self.unreadable_others.iter().cloned());
        let others: Vec<_> = others.collect();
        if others.is_empty() {
            String::new()
        } else {
            format!("[{}]", others.join(","))
        }
    }
}

/// Decodes the entries of `x_other_cards` that can be decoded.
fn other_cards(others: &str) -> Vec<(serde_json::Value, Option<OtherCard>)> {
    let others: Vec<serde_json::Value> = serde_json::from_str(others).unwrap_or_default();
    let cards = others.into_iter().map(|other| {
        let card = OtherCard::deserialize(&other).ok();
        (other, card)
    });
    cards.collect()
}

fn posted(message: Message) -> Posted {
    Posted {
        activity: message.id,
        posted: message.ts,
        recipient: Recipient::reviewer(message.rid),
        conversation: None,
        digest: false,
        shown: None,
        replacement: false,
    }
}

fn other_posted(card: OtherCard) -> Option<Posted> {
    Some(Posted {
        activity: card.id,
        posted: card.ts,
        recipient: Recipient {
            audience: Audience::parse(&card.audience)?,
            name: card.rid,
        },
        conversation: card.conversation,
        digest: card.digest,
        shown: card.shown.and_then(|stage| shown(&stage, &card.facts)),
        replacement: card.replacement,
    })
}

/// Returns whether the Go plugin can update the card as that of a reviewer.
fn is_in_messages(card: &Posted) -> bool {
    card.recipient.audience.reviews() && !card.digest
}

/// Decodes an entry of `messages`: Base64 of JSON, or `id/time/recipient` of plugins before version 12.
fn message(entry: &str) -> Option<Message> {
    if let Ok(bytes) = STANDARD.decode(entry) {
        return serde_json::from_slice(&bytes).ok();
    }
    let parts: Vec<_> = entry.split('/').collect();
    let [id, ts, rid] = parts[..] else {
        return None;
    };
    Some(Message {
        id: id.to_owned(),
        ts: ts.to_owned(),
        rid: rid.to_owned(),
    })
}

/// Escapes the same characters as Go's JSON encoder, which protects script elements.
fn as_go_writes(json: &str) -> String {
    json.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
