//! Errors in conditions, with their places.

use std::fmt;

/// A part of a condition: the byte offsets of its start and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the span from the beginning of this one to the end of another.
    pub(super) fn to(self, last: Self) -> Self {
        Self::new(self.start, last.end)
    }

    /// Returns the text of the part, with runs of white space as one blank.
    pub fn of(self, text: &str) -> String {
        let part = text.get(self.start..self.end).unwrap_or_default();
        part.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The classes of errors, which are also Teleport's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Syntax, an unknown name, or a wrong number of arguments.
    Parse,
    Type,
    /// The condition is valid, but could not be evaluated for a request.
    Eval,
}

impl ErrorKind {
    /// Returns the identifier for JSON and logs, such as `parse`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Type => "type",
            Self::Eval => "eval",
        }
    }
}

/// One mistake in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    pub span: Span,
    pub message: String,
    /// A suggestion of what to write instead, if there is one.
    pub hint: Option<String>,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, span: Span, message: impl Into<String>) -> Self {
        Self {
            kind,
            span,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn parse(span: Span, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Parse, span, message)
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
