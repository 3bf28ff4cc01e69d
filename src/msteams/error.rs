//! Errors of calls to Microsoft, classified by meaning.
//!
//! Architecture Invariant: never holds a secret, a token, a body or a URL. Of an answer it shows the status, the code
//! and the id of the request, each only after checking its form.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt};

use crate::msteams::call_event::Endpoint;

/// A failed operation: its subject, the meaning of the failure, and a hint.
#[derive(Clone)]
pub struct Error(Box<Report>);

#[derive(Clone)]
struct Report {
    operation: Operation,
    subject: Option<String>,
    meaning: Meaning,
    detail: Option<Cow<'static, str>>,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    hint: Option<String>,
    retry: Retry,
    in_place_retry: InPlaceRetry,
    waited_for: Option<Wait>,
    source: Option<Arc<reqwest::Error>>,
}

/// What timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Connection,
    Answer,
}

/// What a failure means, whichever service and status it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The user, team or conversation does not exist.
    NotFound,
    /// More than one user or app matches.
    Ambiguous,
    /// The app is not in the organization's catalog.
    AppNotInCatalog,
    /// The app was not added to the team.
    AppNotInTeam,
    /// We are authenticated, but the operation is not allowed.
    Denied,
    /// Our credentials are not accepted.
    Credentials,
    Throttled,
    /// Another operation changes the same object at the same time.
    Conflict,
    /// The request is invalid, and a retry would fail too.
    Rejected,
    /// The card is larger than Teams accepts.
    TooBig,
    /// No answer, or a server error of the service.
    Unreachable,
    /// The answer violates the protocol, or does not come from Microsoft.
    Protocol,
    /// The message to update was deleted.
    Gone,
    /// The app is not, or no longer, in the conversation.
    BotNotInstalled,
    /// The user blocked the app.
    Blocked,
    /// The card was accepted, but its id is unknown: it cannot be updated, and must not be posted again.
    Delivered,
    /// Nothing was sent, because the caller cancelled the operation.
    Stopped,
}

/// Whether a later call may succeed, after all attempts of this one have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call fails until an operator or administrator fixes the cause.
    Never,
    /// Retry later, and not before this time has passed, if it is given.
    Later(Option<Duration>),
    /// The card may have been posted or not; posting it again may show it twice.
    FateUnknown,
}

/// Whether the call may repeat the same request before it fails. A message that may have arrived is never repeated in
/// place, whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPlaceRetry {
    No,
    /// Repeat once.
    Once,
    Yes,
}

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Prepare,
    GraphToken,
    BotToken,
    /// A token for Graph from the managed identity of the machine.
    GraphIdentity,
    BotIdentity,
    FindApp,
    FindUser,
    FindManager,
    FindPresence,
    FindInstallation,
    Install,
    Uninstall,
    Upgrade,
    UpgradeInTeam,
    FindChat,
    FindInTeam,
    FindTeam,
    FindChannel,
    ListMembers,
    /// Reads a link, without a call.
    UseLink,
    OpenChat,
    Post,
    Update,
    /// Fetches the keys with which the Bot connector signs its requests.
    Keys,
}

impl Error {
    pub(crate) fn new(operation: Operation, meaning: Meaning, retry: Retry) -> Self {
        Self(Box::new(Report {
            operation,
            subject: None,
            meaning,
            detail: None,
            status: None,
            code: None,
            request_id: None,
            hint: None,
            retry,
            in_place_retry: InPlaceRetry::No,
            waited_for: None,
            source: None,
        }))
    }

    /// Returns the error for an answer that came from something on the path instead of the service. The state of the
    /// request is unknown then.
    pub(crate) fn intercepted(operation: Operation, status: u16) -> Self {
        let detail = match status {
            407 => "a proxy between this machine and Microsoft requires a user name and a password",
            _ => "a proxy, firewall or gateway answered instead of Microsoft",
        };
        Self::new(operation, Meaning::Protocol, Retry::Later(None))
            .detail(detail)
            .with_in_place_retry(InPlaceRetry::Yes)
    }

    pub fn meaning(&self) -> Meaning {
        self.0.meaning
    }

    /// Returns the hint, if there is one.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Returns whether the failure concerns every call of the service, and ends without a change of the call.
    pub fn is_outage(&self) -> bool {
        let meaning = self.meaning();
        matches!(meaning, Meaning::Credentials | Meaning::Protocol | Meaning::Unreachable)
    }

    /// Returns the service that failed.
    pub fn endpoint(&self) -> Endpoint {
        self.0.operation.endpoint()
    }

    /// Returns Microsoft's code, such as `BotDisabledByAdmin` or `AADSTS7000215`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns a text that identifies the cause: the same for every recipient, and without the id of the request.
    pub fn cause(&self) -> String {
        let report = &self.0;
        let code = report.code.as_deref().unwrap_or_default();
        format!("{} {:?} {code}", self.reason(), report.status)
    }

    fn reason(&self) -> &str {
        let report = &self.0;
        report.detail.as_deref().unwrap_or(report.meaning.phrase())
    }

    /// Returns the operation that failed.
    pub(crate) fn operation(&self) -> Operation {
        self.0.operation
    }

    pub(crate) fn has_detail(&self) -> bool {
        self.0.detail.is_some()
    }

    pub(crate) fn has_hint(&self) -> bool {
        self.0.hint.is_some()
    }

    /// Returns whether an answer timed out.
    pub(crate) fn is_timeout(&self) -> bool {
        self.0.waited_for == Some(Wait::Answer)
    }

    /// Returns whether a connection or an answer timed out.
    pub(crate) fn was_slow(&self) -> bool {
        self.0.waited_for.is_some()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.0.status
    }

    pub(crate) fn in_place_retry(&self) -> InPlaceRetry {
        match self.0.retry {
            Retry::FateUnknown => InPlaceRetry::No,
            Retry::Never | Retry::Later(_) => self.0.in_place_retry,
        }
    }

    /// Sets the subject of the operation, unless the operation concerns all subjects. The text must be safe to log.
    pub(crate) fn about(mut self, subject: impl fmt::Display) -> Self {
        if !self.0.operation.concerns_all() {
            self.0.subject = Some(subject.to_string());
        }
        self
    }

    /// Replaces the phrase of the meaning with a more exact one.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.0.hint = hint.map(Into::into);
        self
    }

    pub(crate) fn with_in_place_retry(mut self, retry: InPlaceRetry) -> Self {
        self.0.in_place_retry = retry;
        self
    }

    /// Replaces the operation.
    pub(crate) fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = operation;
        self
    }

    pub(crate) fn with_answer(mut self, status: u16, code: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.code = code;
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    pub(crate) fn with_wait(mut self, waited_for: Option<Wait>) -> Self {
        self.0.waited_for = waited_for;
        self
    }

    /// Keeps the cause, without its URL, which may hold an email address.
    pub(crate) fn with_source(mut self, source: reqwest::Error) -> Self {
        self.0.source = Some(Arc::new(source.without_url()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        write!(f, "could not {}", report.operation.phrase())?;
        if let Some(subject) = &report.subject {
            write!(f, " for {subject}")?;
        }
        write!(f, ": {}", self.reason())?;
        let status = report.status.map(|status| status.to_string());
        let request = report.request_id.as_ref().map(|id| format!("request id {id}"));
        let facts: Vec<_> = [status, report.code.clone(), request].into_iter().flatten().collect();
        if facts.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", facts.join(", "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("text", &self.to_string())
            .field("meaning", &self.0.meaning)
            .field("retry", &self.0.retry)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

impl Meaning {
    fn phrase(self) -> &'static str {
        match self {
            Self::NotFound => "it does not exist",
            Self::Ambiguous => "there is more than one",
            Self::AppNotInCatalog => "the app is not in the organization's catalog",
            Self::AppNotInTeam => "the app is not installed in the team",
            Self::Denied => "access is denied",
            Self::Credentials => "Microsoft rejected the credentials",
            Self::Throttled => "Microsoft throttles requests",
            Self::Conflict => "another operation is in progress",
            Self::Rejected => "Microsoft rejected the request as invalid",
            Self::TooBig => "the card is too large",
            Self::Unreachable => "the service is unreachable",
            Self::Protocol => "the answer is invalid",
            Self::Gone => "the message was deleted",
            Self::BotNotInstalled => "the app is not installed there",
            Self::Blocked => "the user has blocked the app",
            Self::Delivered => "the card was accepted, but without an ID",
            Self::Stopped => "the operation was cancelled",
        }
    }
}

impl Operation {
    /// Returns the service of the operation. Preparation and the keys count as the login service.
    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Prepare
            | Self::GraphToken
            | Self::BotToken
            | Self::GraphIdentity
            | Self::BotIdentity
            | Self::Keys => Endpoint::Login,
            Self::FindApp
            | Self::FindUser
            | Self::FindManager
            | Self::FindPresence
            | Self::FindInstallation
            | Self::Install
            | Self::Uninstall
            | Self::Upgrade
            | Self::UpgradeInTeam
            | Self::FindChat
            | Self::FindInTeam
            | Self::FindTeam
            | Self::FindChannel
            | Self::ListMembers
            | Self::UseLink => Endpoint::Graph,
            Self::OpenChat | Self::Post | Self::Update => Endpoint::Bot,
        }
    }

    /// Returns whether many recipients cause many of these calls, which only read.
    pub(crate) fn is_look_up(self) -> bool {
        matches!(self, Self::FindUser | Self::FindInstallation)
    }

    fn concerns_all(self) -> bool {
        self == Self::FindApp || self.endpoint() == Endpoint::Login
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::Prepare => "prepare HTTPS",
            Self::GraphToken | Self::GraphIdentity => "get a token for Graph",
            Self::BotToken | Self::BotIdentity => "get a token for the Bot connector",
            Self::FindApp => "find the app in the catalog",
            Self::FindUser => "find the user",
            Self::FindManager => "find the manager of the user",
            Self::FindPresence => "read the presence of users",
            Self::FindInstallation => "look up the installed app",
            Self::Install => "install the app",
            Self::Uninstall => "uninstall the app",
            Self::Upgrade | Self::UpgradeInTeam => "upgrade the app",
            Self::FindChat => "find the chat of the app",
            Self::FindInTeam => "look up the app in the team",
            Self::FindTeam => "find the team",
            Self::FindChannel => "find the channel",
            Self::ListMembers => "list the members of the group",
            Self::UseLink => "use the link",
            Self::OpenChat => "open the chat of the app",
            Self::Post => "post the card",
            Self::Update => "update the card",
            Self::Keys => "get the keys that verify requests from Microsoft Teams",
        }
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
