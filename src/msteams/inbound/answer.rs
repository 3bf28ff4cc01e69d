//! What a request from Teams is answered with.
//!
//! `authoring-cards/universal-action-model.md` in `MicrosoftDocs/AdaptiveCards` documents the form: HTTP 200 always, and
//! the outcome in the body.
//!
//! Architecture Invariant: an invoke is never answered with an empty body or an empty text, because Teams then shows an
//! error and may send the request again.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

/// The answer to a press, which only the person who pressed the button sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvokeAnswer {
    status_code: u16,
    r#type: &'static str,
    value: Value,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 200, for activities that want no answer.
    Empty,
    /// 200, for a press.
    Invoke(InvokeAnswer),
    /// 501, for invokes that this bot does not know.
    NotImplemented,
}

const CARD: &str = "application/vnd.microsoft.card.adaptive";
const MESSAGE: &str = "application/vnd.microsoft.activity.message";
const ERROR: &str = "application/vnd.microsoft.error";

/// Stands for an empty text.
const NO_TEXT: &str = "No answer";

impl InvokeAnswer {
    /// Shows a line under the card, which stays as it is.
    pub fn message(text: &str) -> Self {
        Self {
            status_code: 200,
            r#type: MESSAGE,
            value: Value::from(some(text)),
        }
    }

    /// Replaces the card for this person on this client. Other clients need an update of the message.
    ///
    /// # Panics
    /// If the card does not serialize to JSON. Cards of texts and lists always do.
    pub fn card(card: &impl Serialize) -> Self {
        Self {
            status_code: 200,
            r#type: CARD,
            value: serde_json::to_value(card).expect("cards and texts always become JSON"),
        }
    }

    /// Reports that the press is invalid. Teams may show its own text instead.
    pub fn bad_request(text: &str) -> Self {
        Self::error(400, "BadRequest", text)
    }

    /// Reports that the bot does not serve this kind of press. Teams may show its own text instead.
    pub fn not_supported(text: &str) -> Self {
        Self::error(400, "NotSupported", text)
    }

    /// Reports that the bot failed. Teams may show its own text instead.
    pub fn failed(text: &str) -> Self {
        Self::error(500, "InternalServerError", text)
    }

    fn error(status_code: u16, code: &str, text: &str) -> Self {
        Self {
            status_code,
            r#type: ERROR,
            value: json!({"code": code, "message": some(text)}),
        }
    }

    /// Returns the JSON of the answer.
    ///
    /// # Panics
    /// Never: the parts are JSON already.
    pub fn body(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).expect("JSON always becomes JSON"))
    }
}

impl Reply {
    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Empty | Self::Invoke(_) => 200,
            Self::NotImplemented => 501,
        }
    }

    /// Returns the body, whose type is `application/json`; empty if there is none.
    pub fn body(&self) -> Bytes {
        match self {
            Self::Empty | Self::NotImplemented => Bytes::new(),
            Self::Invoke(answer) => answer.body(),
        }
    }
}

fn some(text: &str) -> &str {
    if text.trim().is_empty() { NO_TEXT } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_documented_form() {
        let card = json!({"type": "AdaptiveCard", "version": "1.4"});
        for (answer, expected) in [
            (
                InvokeAnswer::message("Approved"),
                json!({"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "Approved"}),
            ),
            (
                InvokeAnswer::card(&card),
                json!({"statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": card}),
            ),
            (
                InvokeAnswer::bad_request("no"),
                json!({"statusCode": 400, "type": "application/vnd.microsoft.error",
                       "value": {"code": "BadRequest", "message": "no"}}),
            ),
            (
                InvokeAnswer::not_supported("no"),
                json!({"statusCode": 400, "type": "application/vnd.microsoft.error",
                       "value": {"code": "NotSupported", "message": "no"}}),
            ),
            (
                InvokeAnswer::failed("no"),
                json!({"statusCode": 500, "type": "application/vnd.microsoft.error",
                       "value": {"code": "InternalServerError", "message": "no"}}),
            ),
        ] {
            assert_eq!(serde_json::from_slice::<Value>(&answer.body()).unwrap(), expected);
            let reply = Reply::Invoke(answer);
            assert_eq!((reply.status(), reply.body().is_empty()), (200, false));
        }
    }

    #[test]
    fn an_answer_is_never_empty() {
        for text in ["", " \n"] {
            assert_eq!(InvokeAnswer::message(text).value, json!(NO_TEXT));
            assert_eq!(InvokeAnswer::failed(text).value["message"], NO_TEXT);
        }
        assert_eq!((Reply::Empty.status(), Reply::Empty.body().len()), (200, 0));
        assert_eq!(
            (Reply::NotImplemented.status(), Reply::NotImplemented.body().len()),
            (501, 0)
        );
    }
}
