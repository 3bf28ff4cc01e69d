//! The message that carries a card.
//!
//! Architecture Invariant: holds no `text`: a message with both text and a card is split in two by Teams, and no id comes
//! back. Holds no `from`: the connector knows us by our token.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

/// A message with one card, as the Bot connector wants it; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity(Bytes);

const CARD: &str = "application/vnd.microsoft.card.adaptive";

impl Activity {
    /// Wraps a card; `summary` is what a notification shows instead of it.
    pub fn new(card: &impl Serialize, summary: &str) -> Self {
        let message = json!({
            "type": "message",
            "summary": summary,
            "attachments": [{ "contentType": CARD, "content": card }],
        });
        Self(Bytes::from(message.to_string()))
    }

    pub(crate) fn body(&self) -> Bytes {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_the_card_and_its_summary_only() {
        let activity = Activity::new(&json!({"type": "AdaptiveCard"}), "New request");
        let message: serde_json::Value = serde_json::from_slice(&activity.body()).unwrap();
        let attachment = json!({"contentType": CARD, "content": {"type": "AdaptiveCard"}});
        let expected = json!({"type": "message", "summary": "New request", "attachments": [attachment]});
        assert_eq!(message, expected);
    }
}
