//! Encodes the record as the map of strings that Teleport stores.
//!
//! Keys and encodings of the first group are the Go plugin's (`integrations/access/msteams` and `integrations/lib/plugindata`
//! in `gravitational/teleport`), byte for byte. Keys that begin with `x_` are ours.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::domain::lifecycle::{
    Audience, Claim, Fingerprint, NamedByRule, Posted, Recipient, Record, Refusal, RoutedBy, Shown, StoredMap,
};
use crate::domain::request::Stage;

/// The keys that the Go plugin expects to be absent when it claims a request.
const GO_KEYS: [&str; 8] = [
    "user",
    "roles",
    "request_reason",
    "resources",
    "reviews_count",
    "resolution",
    "resolve_reason",
    "messages",
];

/// How the Go plugin writes "no time".
const GO_ZERO_TIME: &str = "0001-01-01T00:00:00Z";

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

#[derive(Deserialize, Serialize)]
struct StoredRefusal {
    why: String,
    since: Timestamp,
    at: String,
    #[serde(rename = "f", default, skip_serializing_if = "String::is_empty")]
    facts: String,
    #[serde(default = "once", skip_serializing_if = "is_once")]
    times: u32,
    #[serde(rename = "unconfirmed", default, skip_serializing_if = "is_false")]
    unconfirmed: bool,
}

/// Maximum number of stored refusals. Requesters choose the suggested reviewers, so they can cause any number of refusals; one
/// that is not stored is only forgotten at a restart.
const MOST_REFUSALS: usize = 100;

/// Maximum stored size of the reason of a refusal, and of each text from requesters and reviewers, in bytes. Teleport stores
/// 1,000,000 bytes for all plugins of a request together.
const LONGEST_WHY: usize = 300;
const LONGEST_TEXT: usize = 8_000;

/// Maximum size of a text after Teleport has rejected the record for its size, in bytes.
const LONGEST_BRIEF_TEXT: usize = 200;

impl Record {
    /// Returns the expected keys for the claim of a new request: neither the Go plugin's nor ours exist.
    pub fn expect_absent() -> BTreeMap<String, String> {
        let keys = GO_KEYS.into_iter().chain(["x_claim"]);
        keys.map(|key| (key.to_owned(), String::new())).collect()
    }

    /// Returns the expected values for a later write: no replica and no Go plugin has written since the map was read.
    pub fn expect_unchanged(map: &StoredMap) -> BTreeMap<String, String> {
        let value = |key: &str| map.get(key).unwrap_or_default().to_owned();
        ["x_claim", "messages"].map(|key| (key.to_owned(), value(key))).into()
    }

    /// Encodes the record; keys without a value are empty, which deletes them.
    pub fn encode(&self) -> BTreeMap<String, String> {
        let reviews = Some(self.reviews).filter(|count| *count > 0);
        let claim = self.claim.as_ref().map(ToString::to_string);
        let until = self.access_until.map_or_else(|| GO_ZERO_TIME.to_owned(), seconds);
        let longest = if self.brief { LONGEST_BRIEF_TEXT } else { LONGEST_TEXT };
        let text = |text: &str| shortened(text, longest).to_owned();
        let pairs = [
            ("user", text(&self.user)),
            ("roles", text(&self.roles)),
            ("request_reason", text(&self.reason)),
            ("resources", String::new()),
            (
                "reviews_count",
                reviews.map(|count| count.to_string()).unwrap_or_default(),
            ),
            (
                "resolution",
                self.resolution
                    .map(|stage| stage.as_str().to_owned())
                    .unwrap_or_default(),
            ),
            ("resolve_reason", text(&self.resolve_reason)),
            ("messages", self.messages()),
            ("max_duration", until),
            ("x_claim", claim.unwrap_or_default()),
            ("x_recipients", recipients_of_rules(&self.routed_by)),
            (
                "x_rules",
                if self.brief {
                    String::new()
                } else {
                    names_of_rules(&self.routed_by)
                },
            ),
            ("x_expires", self.expires.map(seconds).unwrap_or_default()),
            (
                "x_announced",
                self.announced.map(|at| at.to_string()).unwrap_or_default(),
            ),
            ("x_cards", self.known_cards()),
            ("x_other_cards", self.other_cards()),
            ("x_skipped", self.stored_refusals()),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Decodes a record; `None` if the map is empty. Invalid values are skipped, but invalid messages are kept.
    pub fn decode(map: &BTreeMap<String, String>) -> Option<Self> {
        if map.is_empty() {
            return None;
        }
        let text = |key: &str| map.get(key).map(String::as_str).unwrap_or_default();
        let time = |key: &str| text(key).parse::<Timestamp>().ok();
        let mut record = Self {
            user: text("user").to_owned(),
            roles: text("roles").to_owned(),
            reason: text("request_reason").to_owned(),
            reviews: text("reviews_count").parse().unwrap_or_default(),
            resolution: Stage::parse(text("resolution")),
            resolve_reason: text("resolve_reason").to_owned(),
            access_until: time("max_duration").filter(|_| text("max_duration") != GO_ZERO_TIME),
            claim: map.get("x_claim").map(|mark| Claim::parse(mark)),
            routed_by: routed_by(text("x_recipients"), text("x_rules")),
            announced: time("x_announced"),
            expires: time("x_expires"),
            ..Self::default()
        };
        for entry in text("messages").split(',').filter(|entry| !entry.is_empty()) {
            match message(entry) {
                Some(message) => record.cards.push(posted(message)),
                None => record.unreadable.push(entry.to_owned()),
            }
        }
        let known: Vec<Card> = serde_json::from_str(text("x_cards")).unwrap_or_default();
        let mut taken = vec![false; record.cards.len()];
        for card in known {
            let fits = |(place, posted): &(usize, &mut Posted)| !taken[*place] && posted.activity == card.id;
            let is_named = |place: usize| card.place.is_none_or(|named| named == place);
            let mut fitting = record.cards.iter_mut().enumerate().filter(fits);
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
        let others: Vec<serde_json::Value> = serde_json::from_str(text("x_other_cards")).unwrap_or_default();
        for other in others {
            match OtherCard::deserialize(&other).ok().and_then(other_posted) {
                Some(card) => record.cards.push(card),
                None => record.unreadable_others.push(other.to_string()),
            }
        }
        let refusals: BTreeMap<String, StoredRefusal> = serde_json::from_str(text("x_skipped")).unwrap_or_default();
        let refusals = refusals.into_iter().filter_map(|(recipient, stored)| {
            let refusal = Refusal {
                why: stored.why,
                since: stored.since,
                at: shown(&stored.at, &stored.facts)?,
                times: stored.times,
                unconfirmed: stored.unconfirmed,
            };
            Some((refused(recipient), refusal))
        });
        record.refusals = refusals.collect();
        Some(record)
    }

    /// Returns the cards that stand in `messages`, in this order.
    fn messages_cards(&self) -> impl Iterator<Item = &Posted> {
        self.cards.iter().filter(|card| is_in_messages(card))
    }

    fn messages(&self) -> String {
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

    fn known_cards(&self) -> String {
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

    fn other_cards(&self) -> String {
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

    /// Encodes the oldest refusals, which have the longest pauses, and all unconfirmed posts.
    fn stored_refusals(&self) -> String {
        let most = if self.brief { 0 } else { MOST_REFUSALS };
        let mut refusals: Vec<_> = self.refusals.iter().collect();
        refusals.sort_by_key(|(_, refusal)| (!refusal.unconfirmed, refusal.since));
        let refusals = refusals.into_iter().take(most).map(|(recipient, refusal)| {
            let stored = StoredRefusal {
                why: shortened(&refusal.why, LONGEST_WHY).to_owned(),
                since: refusal.since,
                at: refusal.at.to_string(),
                facts: refusal.at.facts.to_string(),
                times: refusal.times,
                unconfirmed: refusal.unconfirmed,
            };
            let key = match other_audience(recipient.audience) {
                Some(audience) => format!("{audience}:{}", recipient.name),
                None => recipient.name.clone(),
            };
            (key, stored)
        });
        let refusals: BTreeMap<_, _> = refusals.collect();
        if refusals.is_empty() {
            String::new()
        } else {
            json(&refusals)
        }
    }
}

/// Cuts a text to a maximum number of bytes, at a character boundary.
fn shortened(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

/// Writes a time as the Go plugin writes the time of posting; ours is always UTC.
pub(super) fn posted_at(now: Timestamp) -> String {
    now.strftime("%d %b %y %H:%M UTC").to_string()
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
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

/// Returns the word of an audience other than the reviewers.
fn other_audience(audience: Audience) -> Option<String> {
    (audience != Audience::Reviewers).then(|| audience.as_str().to_owned())
}

/// Decodes the recipient of a refusal; the name of another audience stands before a colon, which no address begins with.
fn refused(key: String) -> Recipient {
    let other = key.split_once(':').and_then(|(audience, name)| {
        let audience = Audience::parse(audience)?;
        let name = name.to_owned();
        Some(Recipient { audience, name })
    });
    other.unwrap_or_else(|| Recipient::reviewer(key))
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

/// Encodes the recipients that rules named; the empty list means the routing table.
fn recipients_of_rules(routed_by: &RoutedBy) -> String {
    match routed_by {
        RoutedBy::Unknown => String::new(),
        RoutedBy::Table => "[]".to_owned(),
        RoutedBy::Rules(named) => json(&named.iter().map(|named| &named.recipient).collect::<Vec<_>>()),
    }
}

/// Encodes the rule of each recipient that rules named.
fn names_of_rules(routed_by: &RoutedBy) -> String {
    let RoutedBy::Rules(named) = routed_by else {
        return String::new();
    };
    let rules: Option<Vec<_>> = named.iter().map(|named| named.rule.as_deref()).collect();
    rules.map(|rules| json(&rules)).unwrap_or_default()
}

/// Decodes the recipients that rules named, and their rules, which are in the same order.
fn routed_by(recipients: &str, rules: &str) -> RoutedBy {
    let Ok(recipients) = serde_json::from_str::<Vec<String>>(recipients) else {
        return RoutedBy::Unknown;
    };
    if recipients.is_empty() {
        return RoutedBy::Table;
    }
    let rules: Vec<String> = serde_json::from_str(rules).unwrap_or_default();
    let rules = rules.into_iter().map(Some).chain(std::iter::repeat(None));
    let named = recipients.into_iter().zip(rules);
    RoutedBy::Rules(named.map(|(recipient, rule)| NamedByRule { recipient, rule }).collect())
}

fn shown(text: &str, facts: &str) -> Option<Shown> {
    let (stage, reviews) = text.split_once('/')?;
    Some(Shown {
        facts: Fingerprint::parse(facts),
        ..Shown::new(Stage::parse(stage)?, reviews.parse().ok()?)
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and times always become JSON")
}

/// Escapes the same characters as Go's JSON encoder, which protects script elements.
fn as_go_writes(json: &str) -> String {
    json.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_once(times: &u32) -> bool {
    *times == 1
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
