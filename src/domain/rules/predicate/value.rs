//! The values of a condition's parts, and their types.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::rules::predicate::instant::Instant;

/// A set of texts. Texts are bytes, since escapes can write any.
pub type Set = BTreeSet<Vec<u8>>;

/// Sets by key, such as traits or annotations.
pub type Dict = BTreeMap<Vec<u8>, Set>;

/// The types that are known before anything is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    String,
    Int,
    Float,
    Set,
    Dict,
    Time,
    Pair,
    Option,
    /// Known only after evaluation.
    Untyped,
}

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Bool(bool),
    String(Cow<'a, [u8]>),
    Int(i64),
    Float,
    Set(Cow<'a, Set>),
    Dict(Cow<'a, Dict>),
    Time(Instant),
    Pair(Box<(Value<'a>, Value<'a>)>),
    Option(bool, Box<Value<'a>>),
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::String => "a text",
            Self::Int => "a number",
            Self::Float => "a decimal number",
            Self::Set => "a set",
            Self::Dict => "a dict",
            Self::Time => "a time",
            Self::Pair => "a pair",
            Self::Option => "an option",
            Self::Untyped => "a value",
        }
    }
}

impl Value<'_> {
    pub(super) fn of_type(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::String(_) => Type::String,
            Self::Int(_) => Type::Int,
            Self::Float => Type::Float,
            Self::Set(_) => Type::Set,
            Self::Dict(_) => Type::Dict,
            Self::Time(_) => Type::Time,
            Self::Pair(_) => Type::Pair,
            Self::Option(..) => Type::Option,
        }
    }
}
