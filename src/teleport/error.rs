//! What went wrong on the Teleport side, by meaning.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::io::ErrorKind;

use rustls::AlertDescription;
use tonic::Code;
use tonic::Status;

use crate::teleport::call::NotGrpc;
use crate::teleport::connect::ConnectError;
use crate::visible;

const CUT: &str = "Teleport closed the connection";

const NO_ROUTE: &str =
    hint!("Set `[teleport] addr` to the Auth Service or the Proxy, or let the gateway forward gRPC over HTTP/2");

/// Teleport puts the reason of a refusal into the second line of its text; below that come stacks of debug servers.
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
    /// There is no such thing (any more).
    NotFound,
    /// Our role does not allow it.
    Denied,
    /// Teleport refuses every call of our user, which is deleted or locked; no role is the cause.
    Caller,
    /// Somebody else wrote first.
    Conflict,
    /// The server does not know the call.
    Unsupported,
    /// Our credentials cannot be used; waiting does not help, a new file does.
    Credentials,
    /// No answer; trying again may help.
    Unreachable,
    /// Teleport refuses what it was asked for as invalid.
    Invalid,
    /// The answer is too large for us or for the server, or the server is asked too often.
    Exhausted,
    /// An answer that cannot be right.
    Protocol,
    /// What Teleport keeps for us cannot be decoded; Teleport itself works.
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

    /// Says what to do about it, if nothing was said before by those who know better.
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

    /// Reads a status by its code, never by its text (Teleport's `trail` maps its errors to codes).
    pub(super) fn of_status(doing: &'static str, status: &Status) -> Self {
        if let Some(error) = cause::<ConnectError>(status) {
            return Self::of_connect(doing, error);
        }
        if let Some(error) = cause::<NotGrpc>(status) {
            return Self::new(Meaning::Unreachable, doing, error.to_string()).with_hint(NO_ROUTE);
        }
        let text = said(status.message());
        let meaning = match status.code() {
            Code::NotFound => Meaning::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Meaning::Denied,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Meaning::Conflict,
            Code::Unimplemented => Meaning::Unsupported,
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled => Meaning::Unreachable,
            // Ours, and the server's own, for a message above its limit.
            Code::OutOfRange | Code::ResourceExhausted => Meaning::Exhausted,
            Code::InvalidArgument => Meaning::Invalid,
            Code::Ok | Code::Internal | Code::DataLoss => Meaning::Protocol,
        };
        let detail = match chain(status) {
            _ if ended(status) => CUT.to_owned(),
            causes if causes.is_empty() => text,
            causes => format!("{text}: {causes}"),
        };
        Self::new(meaning, doing, detail)
    }

    /// Tells that the server ended the connection with an alert, which after a handshake is about our certificate.
    pub(super) fn refused(doing: &'static str, alert: AlertDescription) -> Self {
        let detail = format!("the server rejected the certificate of the identity ({alert:?})");
        Self::new(Meaning::Credentials, doing, detail).with_hint(hint!(
            "Issue a new identity of this cluster; its user CA may have been rotated"
        ))
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

    /// Tells that the connection broke and nothing else is known. After a handshake that went well, servers that send no
    /// alert refuse our certificate like this.
    pub(super) fn is_cut(&self) -> bool {
        self.detail == CUT
    }

    pub(super) fn while_doing(self, doing: &'static str) -> Self {
        Self { doing, ..self }
    }

    pub(super) fn doing(&self) -> &'static str {
        self.doing
    }

    /// Returns the text without what was being done.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// Returns one line for each way to the cluster that was tried, where there was more than one.
    pub fn tried(&self) -> &[String] {
        &self.tried
    }

    /// Returns what to do about it, where something helps.
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

/// Finds an error of one type among the causes of another.
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

/// Returns what a person needs of a text of Teleport's, in one line.
fn said(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.take(LINES).map(shortened).collect();
    lines.join(": ")
}

/// Shortens the mail addresses in a text of Teleport's, which may name a user: `b…@example.com`.
pub(super) fn shortened(text: &str) -> String {
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

/// Tells whether there is nothing to say but that the connection is gone; how exactly it broke is the system's business.
fn ended(status: &Status) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(status);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) = kind {
            return true;
        }
        // HTTP/2 keeps of what broke a stream the text alone, and that of TLS is an address to read.
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

/// Writes the causes of a status, each once: transport errors often repeat what is inside them.
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
    fn texts_of_teleport_are_one_line_whatever_is_in_them() {
        let text = "[10] access denied\n\tuser \"b\x1b[31m\u{9b}2J\" is not found\r2026-01-01 ERROR forged\nstack";
        let error = Error::of_status("read", &Status::not_found(text));
        let expected =
            "could not read: [10] access denied: user \"b\\u{1b}[31m\\u{9b}2J\" is not found\\r2026-01-01 ERROR forged";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn texts_of_teleport_tell_no_whole_mail_address() {
        let expected = "user \"b…@example.com\" is not found, nor c…@example.com";
        let text = "user \"bob.b@example.com\" is not found, nor carol+x@example.com";
        let error = Error::of_status("read", &Status::not_found(text));
        assert_eq!(error.to_string(), format!("could not read: {expected}"));
        assert_eq!(shortened("nobody @ home"), "nobody @ home");
    }
}
