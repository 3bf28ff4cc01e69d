//! What a request from Teams is about.
//!
//! The fields are those of the Bot Framework's activity, as Teams fills them (`msteams-platform/bots/how-to/conversations/`
//! in `MicrosoftDocs/msteams-docs`: `subscribe-to-conversation-events.md`, `conversation-messages.md`).
//!
//! Architecture Invariant: only a verified request becomes an event, and only one of our tenant to our bot. An unknown kind
//! of activity is no error, because new ones may appear at any time.

use std::{error, fmt};

use serde_json::Value;

use crate::msteams::inbound::answer::{InvokeAnswer, Reply};
use crate::msteams::inbound::fields::{BadField, field, required, text};
use crate::msteams::inbound::press::{self, BadPress, Person, Press, Submit};
use crate::msteams::inbound::service_url;
use crate::msteams::inbound::token::{Audience, Verified};

/// A request from Teams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person pressed a button of a card, or a client refreshed a card.
    Press(Press),
    /// The same, by the older kind of button.
    Submit(Submit),
    /// A button that cannot be understood. `awaits_answer` means that the person sees the answer of this request.
    BadPress {
        problem: BadPress,
        awaits_answer: bool,
    },
    /// The app was installed for a person, or in a team or chat.
    Installed(Installation),
    Uninstalled(Installation),
    /// A person wrote to the bot. What they wrote is not read.
    Text(Chat),
    /// A request for an answer that this bot does not give, by its name.
    OtherInvoke(String),
    /// Anything else.
    Other,
}

/// The address of the service that serves a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The ID of the conversation.
    pub conversation: String,
    pub url: String,
}

/// A conversation with the bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The ID of the conversation.
    pub conversation: String,
    /// `None` for a kind that is not documented.
    pub kind: Option<ChatKind>,
    /// The person who wrote, or who installed the app; `None` if Teams does not name one.
    pub person: Option<Person>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatKind {
    Personal,
    Group,
    Channel,
}

/// A place in which the app was installed, or no longer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub chat: Chat,
    /// The ID of the team's group in Entra, for a team.
    pub team: Option<String>,
}

/// Why a body is refused although the token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyRefusal {
    /// The body is not a JSON object.
    NotJson,
    /// A field is missing, or has the wrong type.
    Field(&'static str),
    /// The request is for another channel than Teams.
    Channel,
    /// The service in the body is not the one in the token.
    ServiceUrl,
    /// The request concerns another tenant, or names none.
    Tenant,
    /// The request is addressed to another bot.
    Recipient,
}

/// The channel of Teams. It is compared exactly: other channels choose their own names.
const CHANNEL: &str = "msteams";

/// The name of the request that a press sends (`authoring-cards/universal-action-model.md` in
/// `MicrosoftDocs/AdaptiveCards`).
const CARD_ACTION: &str = "adaptiveCard/action";

impl Event {
    /// Reads the body of a verified request.
    ///
    /// # Errors
    /// Why the request is not served, whatever it is about.
    pub fn read(body: &[u8], verified: Verified, audience: &Audience) -> Result<Self, BodyRefusal> {
        Self::read_with_service(body, verified, audience).map(|(event, _)| event)
    }

    /// Does the same, and returns the conversation with the address of the service that serves it, which is the one in the
    /// token. `None` if the request has no conversation.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with_service(
        body: &[u8],
        verified: Verified,
        audience: &Audience,
    ) -> Result<(Self, Option<Service>), BodyRefusal> {
        let body: Value = serde_json::from_slice(body).map_err(|_| BodyRefusal::NotJson)?;
        if !body.is_object() {
            return Err(BodyRefusal::NotJson);
        }
        check(&body, &verified, audience)?;
        let service = text(&body, "conversation.id")?.zip(text(&body, "serviceUrl")?);
        let service = service.map(|(conversation, url)| Service {
            conversation: conversation.to_owned(),
            url: url.to_owned(),
        });
        Self::of(&body, verified, audience).map(|event| (event, service))
    }

    fn of(body: &Value, verified: Verified, audience: &Audience) -> Result<Self, BodyRefusal> {
        match text(body, "type")?.unwrap_or_default() {
            "invoke" => match text(body, "name")?.unwrap_or_default() {
                CARD_ACTION => Ok(press::invoked(body, verified)),
                name => Ok(Self::OtherInvoke(name.to_owned())),
            },
            "message" if field(body, "value")?.is_some() => Ok(press::submitted(body, verified)),
            "message" => Ok(Self::Text(chat(body)?)),
            "installationUpdate" => match text(body, "action")?.unwrap_or_default() {
                "add" | "add-upgrade" => Ok(Self::Installed(installation(body)?)),
                "remove" | "remove-upgrade" => Ok(Self::Uninstalled(installation(body)?)),
                _ => Ok(Self::Other),
            },
            "conversationUpdate" if names_the_bot(body, "membersAdded", audience)? => {
                Ok(Self::Installed(installation(body)?))
            }
            "conversationUpdate" if names_the_bot(body, "membersRemoved", audience)? => {
                Ok(Self::Uninstalled(installation(body)?))
            }
            _ => Ok(Self::Other),
        }
    }

    /// Returns the answer to a request that needs no decision; `None` for a press, whose answer is its outcome.
    pub fn standard_reply(&self) -> Option<Reply> {
        match self {
            Self::Press(_) | Self::Submit(Submit { is_message: true, .. }) => None,
            // Our cards have no such button inside an invoke.
            Self::Submit(_) => Some(Reply::Invoke(InvokeAnswer::not_supported(press::UNREADABLE))),
            Self::BadPress {
                problem,
                awaits_answer: true,
            } => Some(Reply::Invoke(problem.answer())),
            Self::OtherInvoke(_) => Some(Reply::NotImplemented),
            Self::BadPress { .. } | Self::Installed(_) | Self::Uninstalled(_) | Self::Text(_) | Self::Other => {
                Some(Reply::Empty)
            }
        }
    }
}

/// Checks what every request must contain. The token proves who sent it, but names neither the channel nor the tenant.
fn check(body: &Value, verified: &Verified, audience: &Audience) -> Result<(), BodyRefusal> {
    if text(body, "channelId")? != Some(CHANNEL) {
        return Err(BodyRefusal::Channel);
    }
    // Bot Connector authentication, step 4, requirement 7. Without it our own token could be sent anywhere.
    let stated = text(body, "serviceUrl")?.unwrap_or_default();
    if !service_url::is_same(verified.service_url(), stated) {
        return Err(BodyRefusal::ServiceUrl);
    }
    // Older activities have only one of them. A foreign one is enough to refuse.
    let tenants = [
        text(body, "channelData.tenant.id")?,
        text(body, "conversation.tenantId")?,
    ];
    let mut tenants = tenants.into_iter().flatten().peekable();
    if tenants.peek().is_none() || !tenants.all(|tenant| audience.is_tenant(tenant)) {
        return Err(BodyRefusal::Tenant);
    }
    let recipient = text(body, "recipient.id")?.unwrap_or_default();
    if !audience.is_recipient(recipient) {
        return Err(BodyRefusal::Recipient);
    }
    Ok(())
}

/// Returns whether the bot itself is one of the members.
fn names_the_bot(body: &Value, members: &'static str, audience: &Audience) -> Result<bool, BodyRefusal> {
    let Some(members) = field(body, members)? else {
        return Ok(false);
    };
    let wrong = BodyRefusal::Field("members");
    for member in members.as_array().ok_or(wrong)? {
        if audience.is_recipient(text(member, "id").map_err(|_| wrong)?.unwrap_or_default()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn chat(body: &Value) -> Result<Chat, BadField> {
    Ok(Chat {
        conversation: required(body, "conversation.id")?,
        kind: match text(body, "conversation.conversationType")? {
            Some("personal") => Some(ChatKind::Personal),
            Some("groupChat") => Some(ChatKind::Group),
            Some("channel") => Some(ChatKind::Channel),
            _ => None,
        },
        person: Person::read(body)?,
    })
}

fn installation(body: &Value) -> Result<Installation, BadField> {
    Ok(Installation {
        chat: chat(body)?,
        team: text(body, "channelData.team.aadGroupId")?.map(str::to_owned),
    })
}

impl BodyRefusal {
    /// Returns the HTTP status of the answer, whose body is empty.
    pub fn status(self) -> u16 {
        match self {
            Self::NotJson | Self::Field(_) => 400,
            Self::Channel | Self::ServiceUrl => 401,
            Self::Tenant | Self::Recipient => 403,
        }
    }
}

impl From<BadField> for BodyRefusal {
    fn from(BadField(path): BadField) -> Self {
        Self::Field(path)
    }
}

impl fmt::Display for BodyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the body is not a JSON object"),
            Self::Field(path) => write!(f, "the field {path} of the body is missing or has the wrong type"),
            Self::Channel => f.write_str("the request is not from the channel msteams"),
            Self::ServiceUrl => f.write_str("the body and the token name different services"),
            Self::Tenant => f.write_str("the request is not from the configured tenant"),
            Self::Recipient => f.write_str("the request is addressed to another bot"),
        }
    }
}

impl error::Error for BodyRefusal {}
