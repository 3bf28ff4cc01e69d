//! Errors of calls to Teleport, classified by meaning.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::io::ErrorKind;

use rustls::AlertDescription;
use tonic::Code;
use tonic::Status;

use crate::teleport::call::NotGrpc;
use crate::teleport::connect::{ConnectError, REFUSED};
use crate::visible;

const CUT: &str = "Teleport closed the connection";

const NO_ROUTE: &str =
    hint!("Set `[teleport] addr` to the Auth Service or the Proxy, or let the gateway forward gRPC over HTTP/2");

/// Number of lines to keep. Teleport writes the reason of a rejection on the second line of its text; debug servers
/// append stack traces below it.
const LINES: usize = 2;

/// A failure of a call to Teleport.
#[derive(Clone, Debug)]
pub struct Error {
    meaning: Meaning,
    doing: &'static str,
    detail: String,
    hint: Option<String>,
    tried: Vec<String>,
}

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The object does not exist, or not any more.
    NotFound,
    /// Our role does not allow the call.
    Denied,
    /// Teleport rejects every call of our user, which is deleted or locked. The role is not the cause.
    Caller,
    /// Another writer changed the value first.
    Conflict,
    /// The server does not know the call.
    Unsupported,
    /// Our credentials are invalid. Waiting does not help; new files do.
    Credentials,
    /// No answer; a retry may help.
    Unreachable,
    /// Teleport rejects the request as invalid.
    Invalid,
    /// The answer is too large for us or for the server, or the server throttles us.
    Exhausted,
    /// The answer violates the protocol.
    Protocol,
    /// The data that Teleport stores for us cannot be decoded. Teleport itself works.
    Undecodable,
}

impl Error {
    pub(super) fn new(meaning: Meaning, doing: &'static str, detail: impl Into<String>) -> Self {
        Self {
            meaning,
            doing,
            detail: detail.into(),
            hint: None,
            tried: Vec::new(),
        }
    }

    /// Adds a hint, unless the code that knew the cause added one.
    pub(super) fn or_hint(self, hint: impl Into<String>) -> Self {
        match self.hint {
            None => self.with_hint(hint),
            Some(_) => self,
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Classifies a status by its code, never by its text (Teleport's `trail` maps its errors to codes).
    pub(super) fn of_status(doing: &'static str, status: &Status) -> Self {
        if let Some(error) = cause::<ConnectError>(status) {
            return Self::of_connect(doing, error);
        }
        if let Some(error) = cause::<NotGrpc>(status) {
            return Self::new(Meaning::Unreachable, doing, error.to_string()).with_hint(NO_ROUTE);
        }
        let text = one_line(status.message());
        let meaning = match status.code() {
            Code::NotFound => Meaning::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Meaning::Denied,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Meaning::Conflict,
            Code::Unimplemented => Meaning::Unsupported,
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled => Meaning::Unreachable,
            // Sent by our library, and by the server, for a message above the size limit.
            Code::OutOfRange | Code::ResourceExhausted => Meaning::Exhausted,
            Code::InvalidArgument => Meaning::Invalid,
            Code::Ok | Code::Internal | Code::DataLoss => Meaning::Protocol,
        };
        let detail = match chain(status) {
            _ if is_connection_end(status) => CUT.to_owned(),
            causes if causes.is_empty() => text,
            causes => format!("{text}: {causes}"),
        };
        Self::new(meaning, doing, detail)
    }

    /// Returns the error for a connection that the server ended with an alert. After a handshake such an alert is about
    /// our certificate.
    pub(super) fn refused(doing: &'static str, alert: AlertDescription) -> Self {
        let detail = format!("the server rejected the certificate of the identity ({alert:?})");
        Self::new(Meaning::Credentials, doing, detail).with_hint(REFUSED)
    }

    fn of_connect(doing: &'static str, error: &ConnectError) -> Self {
        Self {
            meaning: if error.is_credentials() {
                Meaning::Credentials
            } else {
                Meaning::Unreachable
            },
            doing,
            detail: error.to_string(),
            hint: error.hint().map(|hint| visible::line(&hint).into_owned()),
            tried: error
                .tried()
                .iter()
                .map(|way| visible::line(way).into_owned())
                .collect(),
        }
    }

    /// Returns whether all that is known is that the connection broke. Servers that send no alert reject our
    /// certificate like this after a successful handshake.
    pub(super) fn is_cut(&self) -> bool {
        self.detail == CUT
    }

    pub(super) fn while_doing(self, doing: &'static str) -> Self {
        Self { doing, ..self }
    }

    pub(super) fn doing(&self) -> &'static str {
        self.doing
    }

    /// Returns the cause alone, without the operation that failed.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// Returns one line for each route to the cluster that was tried, if there was more than one.
    pub fn tried(&self) -> &[String] {
        &self.tried
    }

    /// Returns the hint, if there is one.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.doing, visible::line(&self.detail))
    }
}

impl StdError for Error {}

/// Returns the first error of type `E` in the chain of causes.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Returns the useful lines of a text from Teleport, as one line.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.take(LINES).map(shortened).collect();
    lines.join(": ")
}

/// Shortens the email addresses in a text from Teleport, which may name a user: `b…@example.com`.
pub fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        let is_name = |letter: char| letter.is_alphanumeric() || ".!#$%&*+-/=?^_{|}~".contains(letter);
        let start = before.trim_end_matches(is_name).len();
        let (before, name) = before.split_at(start);
        short.push_str(before);
        if let Some(first) = name.chars().next() {
            short.push(first);
            short.push('…');
        }
        short.push('@');
        rest = after;
    }
    short + rest
}

/// Returns whether the connection is simply gone. How exactly it broke depends on the system.
fn is_connection_end(status: &Status) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(status);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) = kind {
            return true;
        }
        // HTTP/2 keeps only the text of the error that broke a stream, and the text of rustls contains a link.
        let text = error.to_string();
        if ["close_notify", "connection reset", "Connection reset", "broken pipe"]
            .iter()
            .any(|part| text.contains(part))
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// Joins the causes of a status, each once: transport errors often repeat the errors inside them.
fn chain(status: &Status) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = status.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.contains(&text) && !status.message().contains(&text) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_teleport_become_one_line() {
        let text = "[10] access denied\n\tuser \"b\x1b[31m\u{9b}2J\" is not found\r2026-01-01 ERROR forged\nstack";
        let error = Error::of_status("read", &Status::not_found(text));
        let expected =
            "could not read: [10] access denied: user \"b\\u{1b}[31m\\u{9b}2J\" is not found\\r2026-01-01 ERROR forged";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn texts_from_teleport_show_no_whole_email_address() {
        let expected = "user \"b…@example.com\" is not found, nor c…@example.com";
        let text = "user \"bob.b@example.com\" is not found, nor carol+x@example.com";
        let error = Error::of_status("read", &Status::not_found(text));
        assert_eq!(error.to_string(), format!("could not read: {expected}"));
        assert_eq!(shortened("bob @ home"), "bob @ home");
    }
}
