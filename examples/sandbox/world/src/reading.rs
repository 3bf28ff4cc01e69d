//! Reads the request and its state from a card, as a recipient sees them.

use serde_json::Value;

/// The states that a card may show.
const WORDS: [&str; 5] = ["PENDING", "APPROVED", "DENIED", "PROMOTED", "EXPIRED"];

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A card of a reviewer or of the requester, which follows the request.
    Card,
    /// The decision, to the requester.
    Decision,
    /// A reminder to a recipient who has not reviewed.
    Reminder,
    /// The message that access ends soon, to the requester.
    Ending,
    /// The reminder of Access Lists, to one of their owners.
    AccessLists,
}

impl Kind {
    /// Returns what an activity was for when it was posted.
    pub fn of(first: &Value) -> Self {
        let summary = first["summary"].as_str().unwrap_or_default();
        match word_of(card_of(first)) {
            "?" if summary.starts_with("Reminder: ") => Self::Reminder,
            "?" if summary.starts_with("Your ") => Self::Ending,
            "?" if summary.starts_with("Review") => Self::AccessLists,
            "APPROVED" | "DENIED" | "PROMOTED" => Self::Decision,
            _ => Self::Card,
        }
    }

    /// Returns the word for it, such as `reminder`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Decision => "decision",
            Self::Reminder => "reminder",
            Self::Ending => "ending",
            Self::AccessLists => "review due",
        }
    }

    /// Returns whether the message shows the state of the request, so that it can be stale.
    pub fn shows_state(self) -> bool {
        matches!(self, Self::Card | Self::Decision)
    }
}

/// Returns the card inside an activity.
pub fn card_of(activity: &Value) -> &Value {
    &activity["attachments"][0]["content"]
}

/// Returns the ID of the request that the card shows: its last word that has the form of a UUID.
pub fn request_of(card: &Value) -> String {
    let mut found = String::new();
    each_text(card, &mut |text| {
        let mut words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
        if let Some(id) = words.rfind(|word| is_uuid(word)) {
            id.clone_into(&mut found);
        }
    });
    found
}

/// Returns the state of the request that the card shows, such as `PENDING`, or `?`: the first text that is nothing else, or that
/// notifies the requester of the decision.
pub fn word_of(card: &Value) -> &'static str {
    let mut found = None;
    each_text(card, &mut |text| {
        let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        let is_shown = |word: &&str| letters.eq_ignore_ascii_case(word) || is_decision(text, word);
        let word = WORDS.into_iter().find(is_shown);
        found = found.or(word);
    });
    found.unwrap_or("?")
}

/// Returns whether a text notifies the requester of this decision, as in `Your request for dba was approved`.
fn is_decision(text: &str, word: &str) -> bool {
    let said = format!(" was {}", word.to_ascii_lowercase());
    text.contains("Your request for ") && text.ends_with(&said)
}

fn is_uuid(word: &str) -> bool {
    let groups = word.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12])
}

/// Visits every `text` of the body, from top to bottom.
fn each_text(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get("text") {
                visit(text);
            }
            for inner in ["body", "columns", "items", "inlines"] {
                if let Some(list) = object.get(inner) {
                    each_text(list, visit);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|item| each_text(item, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
