//! Encodes the record as the map of strings that Teleport stores.
//!
//! Keys and encodings of the first group are the Go plugin's (`integrations/access/msteams` and `integrations/lib/plugindata`
//! in `gravitational/teleport`), byte for byte. Keys that begin with `x_` are ours.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::domain::lifecycle::{
    Audience, Claim, Fingerprint, MOST_DELEGATES, NamedByRule, Recipient, Record, Refusal, RoutedBy, Shown, StoredMap,
};
use crate::domain::recipients::Delegate;
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

#[derive(Deserialize, Serialize)]
struct StoredDelegate {
    rid: String,
    #[serde(rename = "of")]
    absent: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
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
            ("x_delegates", self.stored_delegates()),
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
        record.decode_cards(text("messages"), text("x_cards"), text("x_other_cards"));
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
        let delegates: Vec<StoredDelegate> = serde_json::from_str(text("x_delegates")).unwrap_or_default();
        let delegates = delegates.into_iter().map(|stored| Delegate {
            recipient: stored.rid,
            absent: stored.absent,
            name: stored.name,
        });
        record.delegates = delegates.take(MOST_DELEGATES).collect();
        Some(record)
    }

    /// Encodes the delegates of recipients who are out of office.
    fn stored_delegates(&self) -> String {
        let delegates = self.delegates.iter().map(|delegate| StoredDelegate {
            rid: delegate.recipient.clone(),
            absent: delegate.absent.clone(),
            name: shortened(&delegate.name, LONGEST_BRIEF_TEXT).to_owned(),
        });
        let delegates: Vec<_> = delegates.collect();
        if delegates.is_empty() {
            String::new()
        } else {
            json(&delegates)
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

/// Returns the word of an audience other than the reviewers.
pub(super) fn other_audience(audience: Audience) -> Option<String> {
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

pub(super) fn shown(text: &str, facts: &str) -> Option<Shown> {
    let (stage, reviews) = text.split_once('/')?;
    Some(Shown {
        facts: Fingerprint::parse(facts),
        ..Shown::new(Stage::parse(stage)?, reviews.parse().ok()?)
    })
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and times always become JSON")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn is_false(value: &bool) -> bool {
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
