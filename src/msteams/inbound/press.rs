//! A press of a button on a card.
//!
//! `authoring-cards/universal-action-model.md` in `MicrosoftDocs/AdaptiveCards` documents the request, and
//! `task-modules-and-cards/cards/cards-actions.md` in `MicrosoftDocs/msteams-docs` the older `Action.Submit`.
//!
//! Architecture Invariant: the person comes from Teams, in the body of a verified request. Everything else comes from the
//! person's client and is a wish: which request, which verb, which reason.

use std::{error, fmt};

use serde_json::Value;
use uuid::Uuid;

use crate::domain::review::{LONGEST_REASON, Verb, is_request_id};
use crate::msteams::inbound::answer::InvokeAnswer;
use crate::msteams::inbound::fields::{BadField, field, required, text};
use crate::msteams::inbound::message::Event;
use crate::msteams::inbound::token::Verified;

/// A press of a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// The ID of this delivery. Whether a repeated delivery has the same ID is not documented.
    pub id: String,
    pub verb: Verb,
    /// The ID of the Access Request, as the button has it.
    pub request: String,
    /// What the person typed; at most 2,000 characters, without control characters except line breaks.
    pub reason: Option<String>,
    pub person: Person,
    /// The ID of the conversation that contains the card.
    pub conversation: String,
    /// The ID of the message that contains the card, if Teams names it.
    pub message: Option<String>,
    pub trigger: Trigger,
    verified: Verified,
}

/// A press of an `Action.Submit`, which is the fallback of clients that do not know `Action.Execute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    pub press: Press,
    /// It arrived as a message: the answer to the request is empty, and the person sees only what is sent to the chat.
    /// Otherwise it arrived like a [`Press`].
    pub is_message: bool,
}

/// What caused a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The person pressed the button.
    Manual,
    /// The person's client refreshes the card. An update of the message in response causes the next refresh.
    Automatic,
}

/// A person in our tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// The user ID in Entra, in lower case.
    pub object_id: String,
    /// The ID of the person for this bot (`29:…`).
    pub user: String,
}

/// Why a button cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadPress {
    /// Teams does not name the user ID of the person.
    NoPerson,
    /// A field is missing, or has the wrong type.
    Field(&'static str),
    /// The kind of action is neither `Action.Execute` nor `Action.Submit`.
    Action,
    /// The verb is not one of ours.
    Verb,
    /// The button has no ID of a request, or none that could be one.
    Request,
    /// The press is a part of a sign-in, which this bot does not ask for.
    SignIn,
}

/// The length of a UUID as Entra writes it. Without hyphens, or in braces, it is another form.
const UUID_LENGTH: usize = 36;

/// What the person sees if the button cannot be understood.
pub(super) const UNREADABLE: &str = "This button does not work here. Use the link on the card to open the request.";

/// Where the parts of a press are. `data` is the object with the button's data and the inputs.
struct Paths {
    verb: &'static str,
    data: &'static str,
    request: &'static str,
    reason: &'static str,
}

const EXECUTE: Paths = Paths {
    verb: "value.action.verb",
    data: "value.action.data",
    request: "value.action.data.request",
    reason: "value.action.data.reason",
};

const SUBMIT: Paths = Paths {
    verb: "value.action.data.verb",
    ..EXECUTE
};

const MESSAGE: Paths = Paths {
    verb: "value.verb",
    data: "value",
    request: "value.request",
    reason: "value.reason",
};

/// Reads the press in an `adaptiveCard/action`.
pub(super) fn invoked(body: &Value, verified: Verified) -> Event {
    read_invoke(body, verified).unwrap_or_else(|problem| Event::BadPress {
        problem,
        awaits_answer: true,
    })
}

/// Reads the press in a message with a value.
pub(super) fn submitted(body: &Value, verified: Verified) -> Event {
    match Press::read(body, &MESSAGE, verified) {
        Ok(press) => Event::Submit(Submit {
            press,
            is_message: true,
        }),
        Err(problem) => Event::BadPress {
            problem,
            awaits_answer: false,
        },
    }
}

fn read_invoke(body: &Value, verified: Verified) -> Result<Event, BadPress> {
    if field(body, "value.authentication")?.is_some() || field(body, "value.state")?.is_some() {
        return Err(BadPress::SignIn);
    }
    match text(body, "value.action.type")? {
        Some("Action.Execute") => Ok(Event::Press(Press::read(body, &EXECUTE, verified)?)),
        // The type of the action differs from the documentation in some clients.
        Some("Action.Submit") => Ok(Event::Submit(Submit {
            press: Press::read(body, &SUBMIT, verified)?,
            is_message: false,
        })),
        _ => Err(BadPress::Action),
    }
}

impl Press {
    fn read(body: &Value, paths: &Paths, verified: Verified) -> Result<Self, BadPress> {
        if !field(body, paths.data)?.is_some_and(Value::is_object) {
            return Err(BadPress::Field(paths.data));
        }
        let verb = text(body, paths.verb)?.or(text(body, EXECUTE.verb)?);
        let request = text(body, paths.request)?.unwrap_or_default();
        if !is_request_id(request) {
            return Err(BadPress::Request);
        }
        Ok(Self {
            id: required(body, "id")?,
            verb: verb.and_then(Verb::parse).ok_or(BadPress::Verb)?,
            request: request.to_owned(),
            reason: text(body, paths.reason)?.and_then(reason),
            person: Person::read(body)?.ok_or(BadPress::NoPerson)?,
            conversation: required(body, "conversation.id")?,
            message: text(body, "replyToId")?.map(str::to_owned),
            trigger: match text(body, "value.trigger")? {
                None | Some("manual") => Trigger::Manual,
                Some("automatic") => Trigger::Automatic,
                Some(_) => return Err(BadPress::Field("value.trigger")),
            },
            verified,
        })
    }

    /// Returns the proof that the press comes from Teams.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }
}

impl Person {
    /// Reads the sender of a request; `None` if it has no user ID, like an anonymous one.
    pub(super) fn read(body: &Value) -> Result<Option<Self>, BadField> {
        let (Some(object_id), Some(user)) = (text(body, "from.aadObjectId")?, text(body, "from.id")?) else {
            return Ok(None);
        };
        let is_id = object_id.len() == UUID_LENGTH && Uuid::try_parse(object_id).is_ok();
        Ok((is_id && !user.is_empty()).then(|| Self {
            object_id: object_id.to_ascii_lowercase(),
            user: user.to_owned(),
        }))
    }
}

/// Removes control characters except line breaks, and spaces around the text. An untouched input is an empty text.
fn reason(typed: &str) -> Option<String> {
    let text: String = typed
        .chars()
        .filter(|char| *char == '\n' || !char.is_control())
        .collect();
    let text: String = text.trim().chars().take(LONGEST_REASON).collect();
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}

impl BadPress {
    /// Returns what the person sees.
    pub(super) fn answer(self) -> InvokeAnswer {
        match self {
            Self::NoPerson => InvokeAnswer::message(
                "Teams did not name your account, so this button does not work for you. Use the link on the card.",
            ),
            Self::Action => InvokeAnswer::not_supported(UNREADABLE),
            Self::Field(_) | Self::Verb | Self::Request | Self::SignIn => InvokeAnswer::bad_request(UNREADABLE),
        }
    }
}

impl From<BadField> for BadPress {
    fn from(BadField(path): BadField) -> Self {
        Self::Field(path)
    }
}

impl fmt::Display for BadPress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPerson => f.write_str("Teams does not name the user ID of the person who pressed the button"),
            Self::Field(path) => write!(f, "the field {path} of the body is missing or has the wrong type"),
            Self::Action => f.write_str("the button is neither Action.Execute nor Action.Submit"),
            Self::Verb => f.write_str("the verb of the button is unknown"),
            Self::Request => f.write_str("the button does not name an Access Request"),
            Self::SignIn => f.write_str("the press is a part of a sign-in, which was not requested"),
        }
    }
}

impl error::Error for BadPress {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::review::{REASON_INPUT, REQUEST_DATA, VERB_DATA};

    #[test]
    fn the_data_of_a_button_is_read_where_a_card_writes_it() {
        for (path, parent, key) in [
            (EXECUTE.request, EXECUTE.data, REQUEST_DATA),
            (EXECUTE.reason, EXECUTE.data, REASON_INPUT),
            (SUBMIT.verb, SUBMIT.data, VERB_DATA),
            (MESSAGE.verb, MESSAGE.data, VERB_DATA),
            (MESSAGE.request, MESSAGE.data, REQUEST_DATA),
            (MESSAGE.reason, MESSAGE.data, REASON_INPUT),
        ] {
            assert_eq!(path, format!("{parent}.{key}"));
        }
    }

    #[test]
    fn a_reason_is_trimmed_and_limited() {
        for (typed, expected) in [
            ("", None),
            (" \r\n\t ", None),
            ("  on call \n", Some("on call")),
            ("one\r\ntwo\u{7}\u{0}\u{9f}three", Some("one\ntwothree")),
            ("\u{7} x", Some("x")),
            ("日本語", Some("日本語")),
        ] {
            assert_eq!(reason(typed).as_deref(), expected, "{typed:?}");
        }
        assert_eq!(reason(&"é".repeat(3_000)), Some("é".repeat(2_000)));
        let spaces = format!("{}   {}", "x".repeat(1_998), "y".repeat(10));
        assert_eq!(reason(&spaces), Some("x".repeat(1_998)));
    }
}
