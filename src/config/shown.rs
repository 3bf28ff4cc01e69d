//! Decides which texts of the file a message can show.

use toml::Value;

use crate::visible;

/// Minimum length of a text that can be one of Microsoft's secrets.
const SHORTEST_SECRET: usize = 20;

/// Quotes a text, or returns only its length if it may be a secret under the wrong key.
pub(super) fn quoted(text: &str) -> String {
    if may_be_secret(text) {
        hidden(text)
    } else {
        format!("{text:?}")
    }
}

/// Quotes a text of a key next to the secret: only what looks like an ID, or a part of one, is shown.
pub(super) fn quoted_id(text: &str) -> String {
    let is_id = |letter: char| letter.is_ascii_hexdigit() || "-/{} xX".contains(letter);
    if text.chars().all(is_id) && text.contains('-') {
        format!("{text:?}")
    } else {
        hidden(text)
    }
}

/// Returns a key as TOML writes it.
pub(super) fn key(key: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if !key.is_empty() && key.chars().all(is_bare) && !may_be_secret(key) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// Describes a value by its type, and by its content if it cannot be a secret.
pub(super) fn described(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string {}", quoted(text)),
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(value) => format!("{value}"),
        Value::Datetime(time) => format!("the time {time}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// Returns whether a text may be one of Microsoft's secrets: current ones contain a `~`, older ones mix upper case, lower case
/// and digits.
pub(super) fn may_be_secret(text: &str) -> bool {
    let text = text.trim();
    let is_path = text.starts_with("~/") || text.starts_with('/') || text.contains("://");
    let has = |kind: fn(&char) -> bool| text.chars().any(|letter| kind(&letter));
    let is_mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    let is_word = text.len() >= SHORTEST_SECRET && is_mixed && !text.contains(char::is_whitespace);
    !is_path && (text.contains('~') || is_word)
}

/// Replaces each control character except tabs, so that a terminal does not interpret it.
pub(super) fn without_controls(text: &str) -> String {
    let is_hidden = |letter: char| letter != '\t' && visible::is_hidden(letter);
    let text = text.trim_end_matches('\r').chars();
    text.map(|letter| if is_hidden(letter) { '\u{fffd}' } else { letter })
        .collect()
}

fn hidden(text: &str) -> String {
    format!("a text of {} characters", text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_secrets_are_hidden_and_other_texts_are_shown() {
        for secret in [
            "planted~four",
            "abC8Q~xYz.0123456789_abcdefghijklmnopqrs",
            "q7Hs/9+kLmN0pQrStUvWx==",
        ] {
            assert!(!quoted(secret).contains(secret), "{secret}");
            assert!(!quoted_id(secret).contains(secret), "{secret}");
        }
        assert!(!quoted_id("hush").contains("hush"));
        for harmless in [
            "yes",
            "devs-msteams-channel-of-the-company",
            "~/identity",
            "https://Login.example.com/a1",
        ] {
            assert_eq!(quoted(harmless), format!("{harmless:?}"));
        }
        assert_eq!(quoted_id("{1111-22}"), "\"{1111-22}\"");
        assert_eq!(key("app_di"), "app_di");
        assert_eq!(key("a\u{1b}b"), "\"a\\u{1b}b\"");
    }
}
