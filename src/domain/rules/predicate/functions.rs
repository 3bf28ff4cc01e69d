//! The functions and methods of conditions, and their parameters.

use crate::domain::rules::predicate::value::Type;

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Set,
    Dict,
    Pair,
    Union,
    IfElse,
    Choose,
    Option,
    Upper,
    Lower,
    ReplaceAll,
    Split,
    EmailLocal,
    RegexReplace,
    RegexMatch,
    Contains,
    ContainsAny,
    ContainsAll,
    IsEmpty,
    Add,
    Remove,
    Put,
    AddValues,
    Rfc3339,
    Before,
    After,
    /// The function: times or versions.
    Between,
    /// The method: times alone.
    TimeBetween,
    NewerThan,
    OlderThan,
}

/// The accepted types of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Param {
    Is(Type),
    Any,
    /// A set or a dict.
    Removable,
}

/// A function or a method, by name. The receiver of a method is its first argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) builtin: Builtin,
    pub(super) params: &'static [Param],
    /// The type of any number of further arguments.
    pub(super) rest: Option<Param>,
    pub(super) result: Type,
}

const BOOL: Param = Param::Is(Type::Bool);
const STRING: Param = Param::Is(Type::String);
const SET: Param = Param::Is(Type::Set);
const DICT: Param = Param::Is(Type::Dict);
const TIME: Param = Param::Is(Type::Time);
const PAIR: Param = Param::Is(Type::Pair);
const OPTION: Param = Param::Is(Type::Option);
const ANY: Param = Param::Any;

const fn exactly(name: &'static str, builtin: Builtin, params: &'static [Param], result: Type) -> Signature {
    Signature {
        name,
        builtin,
        params,
        rest: None,
        result,
    }
}

const fn many(name: &'static str, builtin: Builtin, params: &'static [Param], rest: Param, result: Type) -> Signature {
    Signature {
        name,
        builtin,
        params,
        rest: Some(rest),
        result,
    }
}

pub(super) const FUNCTIONS: &[Signature] = &[
    many("set", Builtin::Set, &[], STRING, Type::Set),
    many("dict", Builtin::Dict, &[], PAIR, Type::Dict),
    exactly("pair", Builtin::Pair, &[ANY, ANY], Type::Pair),
    many("union", Builtin::Union, &[], SET, Type::Set),
    exactly("ifelse", Builtin::IfElse, &[BOOL, ANY, ANY], Type::Untyped),
    many("choose", Builtin::Choose, &[], OPTION, Type::Untyped),
    exactly("option", Builtin::Option, &[BOOL, ANY], Type::Option),
    exactly("strings.upper", Builtin::Upper, &[ANY], Type::Untyped),
    exactly("strings.lower", Builtin::Lower, &[ANY], Type::Untyped),
    exactly(
        "strings.replaceall",
        Builtin::ReplaceAll,
        &[ANY, STRING, STRING],
        Type::Untyped,
    ),
    exactly("strings.split", Builtin::Split, &[SET, STRING], Type::Set),
    exactly("email.local", Builtin::EmailLocal, &[SET], Type::Set),
    exactly(
        "regexp.replace",
        Builtin::RegexReplace,
        &[SET, STRING, STRING],
        Type::Set,
    ),
    exactly("regexp.match", Builtin::RegexMatch, &[SET, STRING], Type::Bool),
    // Since Teleport 18.7.6; older clusters reject a rule that calls it when the rule is created.
    exactly("contains", Builtin::Contains, &[SET, STRING], Type::Bool),
    exactly("contains_any", Builtin::ContainsAny, &[SET, SET], Type::Bool),
    exactly("contains_all", Builtin::ContainsAll, &[SET, SET], Type::Bool),
    exactly("is_empty", Builtin::IsEmpty, &[SET], Type::Bool),
    exactly("time.RFC3339", Builtin::Rfc3339, &[STRING], Type::Time),
    exactly("before", Builtin::Before, &[TIME, TIME], Type::Bool),
    exactly("after", Builtin::After, &[TIME, TIME], Type::Bool),
    exactly("between", Builtin::Between, &[ANY, ANY, ANY], Type::Bool),
    exactly("newer_than", Builtin::NewerThan, &[ANY, ANY], Type::Bool),
    exactly("older_than", Builtin::OlderThan, &[ANY, ANY], Type::Bool),
];

pub(super) const METHODS: &[Signature] = &[
    exactly("contains", Builtin::Contains, &[SET, STRING], Type::Bool),
    many("add", Builtin::Add, &[SET], STRING, Type::Set),
    many("remove", Builtin::Remove, &[Param::Removable], STRING, Type::Untyped),
    exactly("put", Builtin::Put, &[DICT, STRING, SET], Type::Dict),
    many("add_values", Builtin::AddValues, &[DICT, STRING], STRING, Type::Dict),
    exactly("contains_any", Builtin::ContainsAny, &[SET, SET], Type::Bool),
    exactly("contains_all", Builtin::ContainsAll, &[SET, SET], Type::Bool),
    exactly("isempty", Builtin::IsEmpty, &[SET], Type::Bool),
    exactly("before", Builtin::Before, &[TIME, TIME], Type::Bool),
    exactly("after", Builtin::After, &[TIME, TIME], Type::Bool),
    many("between", Builtin::TimeBetween, &[TIME], TIME, Type::Bool),
];

impl Signature {
    /// Returns the accepted type of the argument at a position, if there may be one.
    pub(super) fn param(&self, index: usize) -> Option<Param> {
        self.params.get(index).copied().or(self.rest)
    }

    /// Describes the arguments, without the receiver of a method.
    pub(super) fn shape(&self, is_method: bool) -> String {
        let params = self.params.iter().skip(usize::from(is_method));
        let mut words: Vec<_> = params.map(|param| param.name().to_owned()).collect();
        words.extend(self.rest.map(|rest| format!("{} …", rest.name())));
        format!("{}({})", self.name, words.join(", "))
    }
}

impl Param {
    /// Returns whether a type is accepted; untyped values are checked at evaluation.
    pub(super) fn takes(self, offered: Type) -> bool {
        match (self, offered) {
            (Self::Any, _) | (_, Type::Untyped) => true,
            (Self::Removable, offered) => offered == Type::Set || offered == Type::Dict,
            (Self::Is(wanted), offered) => wanted == offered,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Is(of_type) => of_type.name(),
            Self::Any => "anything",
            Self::Removable => "a set or a dict",
        }
    }
}
