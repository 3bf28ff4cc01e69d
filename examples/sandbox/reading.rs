//! Reads the request and the state from a card, as a recipient sees them.

use serde_json::Value;

/// The states that a card may show.
const WORDS: [&str; 5] = ["PENDING", "APPROVED", "DENIED", "PROMOTED", "EXPIRED"];

/// The beginning of the first line of a card.
const TITLE: &str = "Access Request ";

/// Returns the card inside an activity.
pub fn card_of(activity: &Value) -> &Value {
    &activity["attachments"][0]["content"]
}

/// Returns the ID of the request that the card shows.
pub fn request_of(card: &Value) -> String {
    let mut found = None;
    each_text(card, &mut |text| {
        let id = text.find(TITLE).map(|at| &text[at + TITLE.len()..]);
        let id = id.map(|rest| rest.split(|c: char| !c.is_ascii_hexdigit() && c != '-').next());
        if let (None, Some(Some(id))) = (&found, id) {
            found = Some(id.to_owned());
        }
    });
    found.unwrap_or_default()
}

/// Returns the state of the request that the card shows, or "?".
pub fn word_of(card: &Value) -> &'static str {
    let mut found = None;
    each_text(card, &mut |text| {
        let word = WORDS.into_iter().find(|word| *word == text.trim());
        found = found.or(word);
    });
    found.unwrap_or("?")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_id_and_the_word_are_found_wherever_they_stand() {
        let card = json!({ "body": [
            { "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": "Access Request 018f-aa" }] },
            { "type": "ColumnSet", "columns": [{ "items": [{ "type": "TextBlock", "text": "DENIED" }] }] },
            { "type": "TextBlock", "text": "APPROVED" },
        ]});
        assert_eq!(request_of(&card), "018f-aa");
        assert_eq!(word_of(&card), "DENIED");
    }

    #[test]
    fn a_card_that_says_nothing_is_never_true() {
        assert_eq!(word_of(&json!({ "body": [] })), "?");
        assert_eq!(request_of(&json!(null)), "");
    }
}
