//! The arguments of a call, read as the types that its function takes.

use std::borrow::Cow;

use crate::domain::rules::predicate::error::{Error, ErrorKind, Span};
use crate::domain::rules::predicate::instant::Instant;
use crate::domain::rules::predicate::value::{Dict, Set, Type, Value};

pub(super) fn failed(span: Span, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Eval, span, message)
}

pub(super) fn wrong(span: Span, wanted: Type, found: &Value<'_>) -> Error {
    let found = found.of_type().name();
    failed(span, format!("expected {}, got {found}", wanted.name()))
}

pub(super) fn string(value: Value<'_>, span: Span) -> Result<Cow<'_, [u8]>, Error> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(span, Type::String, &other)),
    }
}

pub(super) fn int(value: &Value<'_>, span: Span) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(wrong(span, Type::Int, other)),
    }
}

pub(super) fn set(value: Value<'_>, span: Span) -> Result<Cow<'_, Set>, Error> {
    match value {
        Value::Set(set) => Ok(set),
        other => Err(wrong(span, Type::Set, &other)),
    }
}

pub(super) fn dict(value: Value<'_>, span: Span) -> Result<Cow<'_, Dict>, Error> {
    match value {
        Value::Dict(dict) => Ok(dict),
        other => Err(wrong(span, Type::Dict, &other)),
    }
}

/// The arguments of a call that are left, each with its place.
pub(super) struct Arguments<'a>(std::vec::IntoIter<(Value<'a>, Span)>);

impl<'a> Arguments<'a> {
    pub(super) fn new(values: Vec<(Value<'a>, Span)>) -> Self {
        Self(values.into_iter())
    }

    /// Returns the arguments that are left.
    pub(super) fn rest(&self) -> &[(Value<'a>, Span)] {
        self.0.as_slice()
    }

    pub(super) fn next(&mut self) -> Result<(Value<'a>, Span), Error> {
        // `check` has counted them.
        self.0
            .next()
            .ok_or_else(|| failed(Span::default(), "an argument is missing"))
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Error> {
        match self.next()? {
            (Value::Bool(value), _) => Ok(value),
            (other, span) => Err(wrong(span, Type::Bool, &other)),
        }
    }

    pub(super) fn string(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        let (value, span) = self.next()?;
        string(value, span)
    }

    pub(super) fn set(&mut self) -> Result<Cow<'a, Set>, Error> {
        let (value, span) = self.next()?;
        set(value, span)
    }

    pub(super) fn dict(&mut self) -> Result<Cow<'a, Dict>, Error> {
        let (value, span) = self.next()?;
        dict(value, span)
    }

    pub(super) fn time(&mut self) -> Result<Instant, Error> {
        match self.next()? {
            (Value::Time(time), _) => Ok(time),
            (other, span) => Err(wrong(span, Type::Time, &other)),
        }
    }

    pub(super) fn strings(self) -> impl Iterator<Item = Result<Vec<u8>, Error>> {
        self.0.map(|(value, span)| string(value, span).map(Cow::into_owned))
    }
}

impl<'a> IntoIterator for Arguments<'a> {
    type Item = (Value<'a>, Span);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0
    }
}
