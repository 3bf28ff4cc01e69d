//! The record as the map of strings that Teleport keeps.
//!
//! Keys and encodings of the first group are the Go plugin's (`integrations/access/msteams` and `integrations/lib/plugindata`
//! in `gravitational/teleport`), byte for byte. Keys that begin with `x_` are ours.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::domain::lifecycle::{Claim, Posted, Recipient, Record, Refusal, RoutedBy, Shown};
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

/// What we know beyond `messages` of one card.
#[derive(Deserialize, Serialize)]
struct Card {
    id: String,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
    #[serde(rename = "again", default, skip_serializing_if = "is_false")]
    replacement: bool,
    /// The place of the card in `messages`, where its id alone does not name it.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
}

#[derive(Deserialize, Serialize)]
struct StoredRefusal {
    why: String,
    since: Timestamp,
    at: String,
    #[serde(default = "once", skip_serializing_if = "is_once")]
    times: u32,
    #[serde(rename = "unconfirmed", default, skip_serializing_if = "is_false")]
    unconfirmed: bool,
}

/// Refusals that are stored at most. Requesters choose the suggested reviewers, so they can make as many as they like; a
/// refusal that is not stored is only forgotten at a restart.
const MOST_REFUSALS: usize = 100;

/// Bytes that are stored at most of the reason of a refusal, and of each text that requesters and reviewers write. Teleport
/// keeps 1,000,000 bytes for all plugins of a request together.
const LONGEST_WHY: usize = 300;
const LONGEST_TEXT: usize = 8_000;

/// Bytes of a text once Teleport has refused the record for its size.
const LONGEST_BRIEF_TEXT: usize = 200;

impl Record {
    /// Returns what a claim of a new request expects: nothing of the Go plugin's, and nothing of ours.
    pub fn expect_absent() -> BTreeMap<String, String> {
        let keys = GO_KEYS.into_iter().chain(["x_claim"]);
        keys.map(|key| (key.to_owned(), String::new())).collect()
    }

    /// Returns what a later write expects: that neither replica nor Go plugin has written since the map was read.
    pub fn expect_unchanged(map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let value = |key: &str| map.get(key).cloned().unwrap_or_default();
        ["x_claim", "messages"].map(|key| (key.to_owned(), value(key))).into()
    }

    /// Writes the record; keys without a value are there, empty, which deletes them.
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
            ("x_expires", self.expires.map(seconds).unwrap_or_default()),
            ("x_cards", self.known_cards()),
            ("x_skipped", self.stored_refusals()),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Reads a record; `None` if the map is empty. What cannot be read is left out, and unreadable messages are kept.
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
            routed_by: routed_by(text("x_recipients")),
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
                posted.shown = card.shown.as_deref().and_then(shown);
                posted.replacement = card.replacement;
                taken[place] = true;
            }
        }
        let refusals: BTreeMap<String, StoredRefusal> = serde_json::from_str(text("x_skipped")).unwrap_or_default();
        let refusals = refusals.into_iter().filter_map(|(recipient, stored)| {
            let refusal = Refusal {
                why: stored.why,
                since: stored.since,
                at: shown(&stored.at)?,
                times: stored.times,
                unconfirmed: stored.unconfirmed,
            };
            Some((Recipient::reviewer(recipient), refusal))
        });
        record.refusals = refusals.collect();
        Some(record)
    }

    fn messages(&self) -> String {
        let entries = self.cards.iter().map(|card| {
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
        for card in &self.cards {
            *ids.entry(card.activity.as_str()).or_insert(0_usize) += 1;
        }
        let cards = self.cards.iter().enumerate();
        let known: Vec<_> = cards
            .filter(|(_, card)| card.conversation.is_some() || card.shown.is_some())
            .map(|(place, card)| Card {
                id: card.activity.clone(),
                conversation: card.conversation.clone(),
                shown: card.shown.map(|shown| shown.to_string()),
                replacement: card.replacement,
                place: Some(place).filter(|_| ids.get(card.activity.as_str()) > Some(&1)),
            })
            .collect();
        if known.is_empty() { String::new() } else { json(&known) }
    }

    /// Writes the oldest refusals, which have the longest pauses, and all posts that were never confirmed.
    fn stored_refusals(&self) -> String {
        let most = if self.brief { 0 } else { MOST_REFUSALS };
        let mut refusals: Vec<_> = self.refusals.iter().collect();
        refusals.sort_by_key(|(_, refusal)| (!refusal.unconfirmed, refusal.since));
        let refusals = refusals.into_iter().take(most).map(|(recipient, refusal)| {
            let stored = StoredRefusal {
                why: shortened(&refusal.why, LONGEST_WHY).to_owned(),
                since: refusal.since,
                at: refusal.at.to_string(),
                times: refusal.times,
                unconfirmed: refusal.unconfirmed,
            };
            (&recipient.name, stored)
        });
        let refusals: BTreeMap<_, _> = refusals.collect();
        if refusals.is_empty() {
            String::new()
        } else {
            json(&refusals)
        }
    }
}

/// Cuts a text after so many bytes, at a character.
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
        shown: None,
        replacement: false,
    }
}

/// Reads an entry of `messages`: Base64 of JSON, or `id/time/recipient` of plugins before version 12.
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

/// Writes the recipients that rules named; the empty list means the routing table.
fn recipients_of_rules(routed_by: &RoutedBy) -> String {
    match routed_by {
        RoutedBy::Unknown => String::new(),
        RoutedBy::Table => "[]".to_owned(),
        RoutedBy::Rules(named) => json(named),
    }
}

fn routed_by(text: &str) -> RoutedBy {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(named) if named.is_empty() => RoutedBy::Table,
        Ok(named) => RoutedBy::Rules(named),
        Err(_) => RoutedBy::Unknown,
    }
}

fn shown(text: &str) -> Option<Shown> {
    let (stage, reviews) = text.split_once('/')?;
    Some(Shown {
        stage: Stage::parse(stage)?,
        reviews: reviews.parse().ok()?,
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and times always become JSON")
}

/// Go's encoder escapes what could end a script element.
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
mod tests {
    use super::*;
    use crate::domain::lifecycle::Outcome;

    const LINK: &str = "https://teams.microsoft.com/l/channel/19%3ae06a7383ed98468f90217a35fa1980d7%40thread.tacv2/Approval%2520Channel%25202?groupId=f2b3c8ed-5502-4449-b76f-dc3acea81f1c&tenantId=ff882432-09b0-437b-bd22-ca13c0037ded";

    /// What the Go plugin stored for two messages, taken from a running one.
    const GO_MESSAGES: &str = "eyJpZCI6IjE3MTUwNzI3MDMwMDEiLCJ0cyI6IjA3IE1heSAyNCAwOTowNSBVVEMiLCJyaWQiOiJhbGljZUBleGFtcGxlLmNvbSJ9,eyJpZCI6IjE3MTUwNzI3MDM1NTIiLCJ0cyI6IjA3IE1heSAyNCAwOTowNSBVVEMiLCJyaWQiOiJodHRwczovL3RlYW1zLm1pY3Jvc29mdC5jb20vbC9jaGFubmVsLzE5JTNhZTA2YTczODNlZDk4NDY4ZjkwMjE3YTM1ZmExOTgwZDclNDB0aHJlYWQudGFjdjIvQXBwcm92YWwlMjUyMENoYW5uZWwlMjUyMDI/Z3JvdXBJZD1mMmIzYzhlZC01NTAyLTQ0NDktYjc2Zi1kYzNhY2VhODFmMWNcdTAwMjZ0ZW5hbnRJZD1mZjg4MjQzMi0wOWIwLTQzN2ItYmQyMi1jYTEzYzAwMzdkZWQifQ==";

    fn card(activity: &str, recipient: &str) -> Posted {
        let posted_at = posted_at("2024-05-07T09:05:03Z".parse().unwrap());
        Posted {
            activity: activity.to_owned(),
            posted: posted_at,
            recipient: Recipient::reviewer(recipient),
            conversation: None,
            shown: None,
            replacement: false,
        }
    }

    fn example() -> Record {
        Record {
            user: "bob@example.com".to_owned(),
            roles: "dba,dev".to_owned(),
            reason: "Need to fix the index".to_owned(),
            reviews: 1,
            cards: vec![card("1715072703001", "alice@example.com"), card("1715072703552", LINK)],
            access_until: Some("2024-05-14T09:05:00Z".parse().unwrap()),
            ..Record::default()
        }
    }

    #[test]
    fn the_go_plugins_record_is_written_byte_for_byte() {
        let mut map = example().encode();
        map.retain(|_, value| !value.is_empty());
        let expected = [
            ("user", "bob@example.com"),
            ("roles", "dba,dev"),
            ("request_reason", "Need to fix the index"),
            ("reviews_count", "1"),
            ("messages", GO_MESSAGES),
            ("max_duration", "2024-05-14T09:05:00Z"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(map, expected.into());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut record = example();
        record.claim = Some(Claim::parse("held me 3"));
        record.expires = Some("2024-05-14T09:05:00Z".parse().unwrap());
        record.cards[0].conversation = Some("19:a_b@unq.gbl.spaces".to_owned());
        record.cards[0].shown = Some(Shown {
            stage: Stage::Pending,
            reviews: 1,
        });
        record.refusals.insert(Recipient::reviewer("x@example.com"), refusal(3));
        assert_eq!(stored_and_read(&record), record);
    }

    /// Teleport keeps no empty values.
    fn stored_and_read(record: &Record) -> Record {
        let mut map = record.encode();
        map.retain(|_, value| !value.is_empty());
        Record::decode(&map).unwrap()
    }

    fn refusal(times: u32) -> Refusal {
        Refusal {
            why: "no such user".to_owned(),
            since: "2024-05-07T09:05:03Z".parse().unwrap(),
            at: Shown {
                stage: Stage::Pending,
                reviews: 0,
            },
            times,
            unconfirmed: false,
        }
    }

    /// What version 0.1.0 wrote.
    #[test]
    fn refusals_and_cards_of_earlier_versions_are_read() {
        let map = [
            ("messages", GO_MESSAGES),
            (
                "x_cards",
                r#"[{"id":"1715072703552","c":"19:e0@thread.tacv2","s":"PENDING/0"}]"#,
            ),
            (
                "x_skipped",
                r#"{"x@example.com":{"why":"no such user","since":"2024-05-07T09:05:03Z","at":"PENDING/0"}}"#,
            ),
        ];
        let map = map.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let record = Record::decode(&map.into()).unwrap();
        assert_eq!(record.refusals[&Recipient::reviewer("x@example.com")], refusal(1));
        assert_eq!(record.cards[0].conversation, None);
        assert_eq!(record.cards[1].conversation.as_deref(), Some("19:e0@thread.tacv2"));
    }

    #[test]
    fn cards_with_the_same_activity_id_stay_apart() {
        let mut record = example();
        for card in &mut record.cards {
            card.activity = "1".to_owned();
        }
        record.cards[1].conversation = Some("19:e0@thread.tacv2".to_owned());
        assert_eq!(stored_and_read(&record), record, "one card is the Go plugin's");
        record.cards[0].conversation = Some("19:a_b@unq.gbl.spaces".to_owned());
        assert_eq!(stored_and_read(&record), record);
        let shown = Shown {
            stage: Stage::Approved,
            reviews: 1,
        };
        let updated = Outcome::Updated {
            recipient: Recipient::reviewer(LINK),
            activity: "1".to_owned(),
            conversation: "19:e0@thread.tacv2".to_owned(),
            shown,
        };
        record.note(updated, "2024-05-07T09:05:03Z".parse().unwrap());
        assert_eq!(record.cards[0].shown, None);
        assert_eq!(record.cards[1].shown, Some(shown));
    }

    #[test]
    fn what_requesters_write_does_not_fill_the_record() {
        let mut record = example();
        record.reason = "ß".repeat(500_000);
        for number in 0..5_300 {
            let mut refusal = refusal(1);
            refusal.why = "w".repeat(1_000);
            // The longest mail address.
            let stranger = format!("{number:064}@{}.com", "x".repeat(251));
            record.refusals.insert(Recipient::reviewer(stranger), refusal);
        }
        let size = |record: &Record| record.encode().values().map(String::len).sum::<usize>();
        assert!(size(&record) < 90_000, "{} bytes", size(&record));
        record.brief = true;
        assert!(size(&record) < 2_000, "{} bytes", size(&record));
    }

    #[test]
    fn a_time_that_is_not_set_is_written_as_go_writes_it() {
        let record = Record::default();
        assert_eq!(record.encode()["max_duration"], "0001-01-01T00:00:00Z");
        assert_eq!(Record::decode(&record.encode()).unwrap().access_until, None);
    }

    #[test]
    fn entries_of_old_plugins_are_read_and_others_are_kept() {
        let messages = "17/07 May 24 09:05 UTC/alice@example.com,e30=,a/b".to_owned();
        let record = Record::decode(&[("messages".to_owned(), messages)].into()).unwrap();
        assert_eq!(record.cards, [card("17", "alice@example.com")]);
        assert_eq!(record.unreadable, ["e30=", "a/b"]);
        assert!(record.encode()["messages"].ends_with(",e30=,a/b"));
    }
}
