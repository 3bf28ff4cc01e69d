//! The meaning of the documented error codes of Graph and the connector.
//!
//! Architecture Invariant: pure. A code that is not in these tables is never final.

use crate::msteams::call_event::Endpoint;
use crate::msteams::envelope::{Envelope, Says};
use crate::msteams::error::{Meaning, Operation, Retry};

/// Graph's codes for an object that does not exist.
const NOT_FOUND: [&str; 4] = [
    "Request_ResourceNotFound",
    "ResourceNotFound",
    "NotFound",
    "ItemNotFound",
];

/// Graph's codes for an invalid request, such as one with a malformed id.
const BAD_REQUEST: [&str; 2] = ["Request_BadRequest", "BadRequest"];

/// Classifies an error of the connector. An administrator may fix a cause that affects all conversations, so it is
/// retried later; a cause in one conversation is final. An undocumented code is never final.
pub(crate) fn by_connector(operation: Operation, status: u16, envelope: &Envelope) -> (Meaning, Retry) {
    let later = Retry::Later(None);
    let blocked = ["ConversationBlockedByUser", "MessageWritesBlocked"];
    let uninstalled = ["BotNotInConversationRoster", "ForbiddenOperationException"];
    match status {
        401 => (Meaning::Credentials, later),
        403 if envelope.is_one_of(&["BotDisabledByAdmin", "InvalidBotApiHost"]) => (Meaning::Denied, later),
        403 if envelope.is_one_of(&blocked) || envelope.number == Some(209) => (Meaning::Blocked, Retry::Never),
        403 if envelope.is_one_of(&uninstalled) || envelope.says == Some(Says::NotInstalled) => {
            (Meaning::BotNotInstalled, Retry::Never)
        }
        403 if envelope.is("NotEnoughPermissions") => (Meaning::Denied, Retry::Never),
        // Observed for some deleted messages, instead of the documented 404.
        403 if operation == Operation::Update && envelope.is("ServiceError") => (Meaning::Gone, Retry::Never),
        403 => (Meaning::Denied, later),
        // The message to update, or the one to reply to.
        404 if envelope.is("ActivityNotFoundInConversation") => (Meaning::Gone, Retry::Never),
        // The conversation was returned by Graph or the connector, so one of the services is behind.
        404 if envelope.is("ConversationNotFound") => (Meaning::NotFound, later),
        409 => (Meaning::Conflict, later),
        400 | 413 if envelope.is_one_of(&["MessageSizeTooBig", "RequestEntityTooLarge"]) => {
            (Meaning::TooBig, Retry::Never)
        }
        400 if envelope.is_one_of(&["BadArgument", "BadSyntax"]) => (Meaning::Rejected, Retry::Never),
        _ => (Meaning::Rejected, later),
    }
}

/// Classifies an error of Graph.
pub(crate) fn by_graph(operation: Operation, status: u16, envelope: &Envelope) -> (Meaning, Retry) {
    let later = Retry::Later(None);
    match status {
        401 => (Meaning::Credentials, later),
        403 => match envelope.says {
            Some(Says::AppPolicy | Says::NoLicence) => (Meaning::Denied, Retry::Never),
            _ => (Meaning::Denied, later),
        },
        404 if envelope.is_one_of(&NOT_FOUND) => match operation {
            Operation::FindUser
            | Operation::FindManager
            | Operation::FindInTeam
            | Operation::FindTeam
            | Operation::FindChannel
            | Operation::ListMembers
            | Operation::FindInstallation
            | Operation::Install => (Meaning::NotFound, Retry::Never),
            _ => (Meaning::NotFound, later),
        },
        409 => (Meaning::Conflict, later),
        400 if envelope.is_one_of(&BAD_REQUEST) => match operation {
            Operation::FindUser | Operation::FindInTeam | Operation::ListMembers => (Meaning::Rejected, Retry::Never),
            // Graph sometimes rejects an installation as invalid, and accepts the same one later.
            _ => (Meaning::Rejected, later),
        },
        _ => (Meaning::Rejected, later),
    }
}

/// Describes what the code and the fixed phrase of a message mean together.
pub(crate) fn detail(operation: Operation, meaning: Meaning, envelope: &Envelope) -> Option<&'static str> {
    let graph = operation.endpoint() == Endpoint::Graph;
    match (operation, meaning, envelope.says) {
        (_, Meaning::Denied, Some(Says::AppPolicy)) => Some("an app permission policy blocks the app for this user"),
        (_, Meaning::Denied, Some(Says::NoLicence)) => Some("this user has no license for Microsoft Teams"),
        (_, Meaning::Denied, Some(Says::NotOurApp)) => Some("the app registration may not manage this Teams app"),
        (_, Meaning::Denied, _) if graph && envelope.is("UnknownError") => Some("access is denied without a reason"),
        (Operation::Install | Operation::FindInstallation, Meaning::NotFound, _) => {
            Some("Microsoft finds no account in Teams for this user, or no such app")
        }
        (Operation::Post | Operation::Update, Meaning::NotFound, _) => {
            Some("the connector does not know the conversation")
        }
        _ => None,
    }
}
