//! The message that carries a card, or a text.
//!
//! Architecture Invariant: a card has no `text` beside it, because Teams splits a message with both text and a card in two and returns
//! no id. Holds no `from`, because the connector identifies us by our token.

use bytes::Bytes;
use serde::Serialize;

/// A message with one card or one text, in the form that the Bot connector requires. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity(Bytes);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a, C> {
    r#type: &'static str,
    summary: &'a str,
    attachments: [Attachment<'a, C>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_data: Option<ChannelData>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlainMessage<'a> {
    r#type: &'static str,
    text_format: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct ChannelData {
    notification: Notification,
}

#[derive(Serialize)]
struct Notification {
    alert: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment<'a, C> {
    content_type: &'static str,
    content: &'a C,
}

const CARD: &str = "application/vnd.microsoft.card.adaptive";

impl Activity {
    /// Wraps a card; `summary` is the text of the notification. With `alert`, the message also appears in the recipient's
    /// activity feed (`channelData.notification`, `msteams-platform/bots/how-to/conversations/conversation-messages.md` in
    /// MicrosoftDocs/msteams-docs).
    ///
    /// # Panics
    /// If the card does not serialize to JSON. Cards of texts and lists always do.
    pub fn new(card: &impl Serialize, summary: &str, alert: bool) -> Self {
        let attachment = Attachment {
            content_type: CARD,
            content: card,
        };
        let message = Message {
            r#type: "message",
            summary,
            attachments: [attachment],
            channel_data: alert.then_some(ChannelData {
                notification: Notification { alert },
            }),
        };
        let json = serde_json::to_vec(&message).expect("cards and texts always become JSON");
        Self(Bytes::from(json))
    }

    /// Makes a message of a text without markup.
    ///
    /// # Panics
    /// Never: texts always become JSON.
    pub fn text(text: &str) -> Self {
        let message = PlainMessage {
            r#type: "message",
            text_format: "plain",
            text,
        };
        let json = serde_json::to_vec(&message).expect("texts always become JSON");
        Self(Bytes::from(json))
    }

    pub(crate) fn body(&self) -> Bytes {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_holds_the_card_and_its_summary_only() {
        let activity = Activity::new(&json!({"type": "AdaptiveCard"}), "New request", false);
        let message: serde_json::Value = serde_json::from_slice(&activity.body()).unwrap();
        let attachment = json!({"contentType": CARD, "content": {"type": "AdaptiveCard"}});
        let expected = json!({"type": "message", "summary": "New request", "attachments": [attachment]});
        assert_eq!(message, expected);
        let activity = Activity::new(&json!({}), "New request", true);
        let message: serde_json::Value = serde_json::from_slice(&activity.body()).unwrap();
        assert_eq!(message["channelData"], json!({"notification": {"alert": true}}));
    }
}
