//! Compiles the tree: resolves names and checks types.

use crate::domain::rules::predicate::error::{Error, ErrorKind, Span};
use crate::domain::rules::predicate::functions::{Builtin, FUNCTIONS, METHODS, Param, Signature};
use crate::domain::rules::predicate::pattern::Pattern;
use crate::domain::rules::predicate::syntax::{Expr, Node, quoted};
use crate::domain::rules::predicate::value::Type;
use crate::nearest::nearest;

/// The meaning of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Roles,
    SuggestedReviewers,
    SystemAnnotations,
    User,
    Reason,
    Created,
    Expiry,
    LabelsUnion,
    LabelsIntersection,
    Traits,
}

const VARIABLES: [(&str, Variable, Type); 10] = [
    ("access_request.spec.roles", Variable::Roles, Type::Set),
    (
        "access_request.spec.suggested_reviewers",
        Variable::SuggestedReviewers,
        Type::Set,
    ),
    (
        "access_request.spec.system_annotations",
        Variable::SystemAnnotations,
        Type::Dict,
    ),
    ("access_request.spec.user", Variable::User, Type::String),
    ("access_request.spec.request_reason", Variable::Reason, Type::String),
    ("access_request.spec.creation_time", Variable::Created, Type::Time),
    ("access_request.spec.expiry", Variable::Expiry, Type::Time),
    (
        "access_request.spec.resource_labels_union",
        Variable::LabelsUnion,
        Type::Dict,
    ),
    (
        "access_request.spec.resource_labels_intersection",
        Variable::LabelsIntersection,
        Type::Dict,
    ),
    ("user.traits", Variable::Traits, Type::Dict),
];

/// A part that can be evaluated.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) span: Span,
    pub(super) of_type: Type,
    pub(super) code: Code,
}

#[derive(Clone, Debug)]
pub(super) enum Code {
    Bool(bool),
    String(Vec<u8>),
    Int(i64),
    Float,
    Variable(Variable),
    /// The set at a key of a dict; empty if there is no such key.
    Key(Variable, Box<Part>),
    Not(Box<Part>),
    And(Vec<Part>),
    Or(Vec<Part>),
    /// Both operands have the type. The flag negates the comparison.
    Equal(Box<Part>, Box<Part>, Type, bool),
    /// A literal pattern is compiled once; its error is reported when it is used.
    Call(&'static Signature, Vec<Part>, Option<Result<Pattern, String>>),
}

/// Resolves names in Teleport's order, so that the same mistake is reported first.
pub(super) fn check(expr: &Expr) -> Result<Part, Error> {
    let span = expr.span;
    let part = |of_type, code| Ok(Part { span, of_type, code });
    match &expr.node {
        Node::Name(_) | Node::Member(..) => name(expr),
        Node::String(bytes) => part(Type::String, Code::String(bytes.clone())),
        Node::Int(number) => part(Type::Int, Code::Int(*number)),
        Node::Float => part(Type::Float, Code::Float),
        Node::SingleQuoted(text) => {
            let error = Error::parse(span, "text in single quotes cannot be used in a condition");
            Err(error.with_hint(format!("write {}", quoted(text.as_bytes()))))
        }
        Node::Paren(inner) => check(inner),
        Node::Not(operand) => {
            let operand = check(operand)?;
            fits(&operand, Param::Is(Type::Bool), || "behind `!`".to_owned())?;
            part(Type::Bool, Code::Not(Box::new(operand)))
        }
        Node::And(operands) => part(Type::Bool, Code::And(booleans(operands, "&&")?)),
        Node::Or(operands) => part(Type::Bool, Code::Or(booleans(operands, "||")?)),
        Node::Equal(left, right, negated) => {
            let (left, right) = (value(left)?, value(right)?);
            let of_type = comparable(&left, &right, span)?;
            part(
                Type::Bool,
                Code::Equal(Box::new(left), Box::new(right), of_type, *negated),
            )
        }
        Node::Index(base, key) => {
            let base = check(base)?;
            let key = value(key)?;
            fits(&key, Param::Is(Type::String), || "as a key".to_owned())?;
            match base.code {
                Code::Variable(variable) if base.of_type == Type::Dict => {
                    part(Type::Set, Code::Key(variable, Box::new(key)))
                }
                _ => {
                    let message = format!("{} has no keys", base.of_type.name());
                    let error = Error::new(ErrorKind::Type, base.span, message);
                    Err(error.with_hint("keys belong to user.traits, system_annotations and the resource labels"))
                }
            }
        }
        Node::Call(callee, arguments) => call(span, callee, arguments),
        Node::Refused(what, operands) => {
            for operand in operands {
                check(operand)?;
            }
            Err(Error::parse(span, format!("{what} cannot be used in a condition")))
        }
    }
}

/// Checks a part where a text may stand. A word there that is neither a name nor like one is probably a text without quotes.
fn value(expr: &Expr) -> Result<Part, Error> {
    check(expr).map_err(|error| match (&error.hint, &expr.node, expr.path()) {
        (None, _, Some(path)) => error.with_hint(format!("text needs double quotes: {}", quoted(path.as_bytes()))),
        // A word of a text such as prod-db.
        (None, Node::Refused("arithmetic", _), _) if error.span != expr.span => {
            error.with_hint("text needs double quotes")
        }
        _ => error,
    })
}

/// Resolves a path: the shortest beginning that is a variable wins, and one name behind a dict is its key.
fn name(expr: &Expr) -> Result<Part, Error> {
    let span = expr.span;
    let Some(path) = expr.path() else {
        return Err(Error::parse(span, "only a name has members").with_hint("write [\"key\"] for a key of a dict"));
    };
    if let "true" | "false" = path.as_str() {
        return Ok(Part {
            span,
            of_type: Type::Bool,
            code: Code::Bool(path == "true"),
        });
    }
    for (known, variable, of_type) in VARIABLES {
        let Some(rest) = path.strip_prefix(known) else {
            continue;
        };
        if rest.is_empty() {
            let code = Code::Variable(variable);
            return Ok(Part { span, of_type, code });
        }
        let key = rest.strip_prefix('.').filter(|key| !key.contains('.'));
        if let (Some(key), Type::Dict) = (key, of_type) {
            let key = Part {
                span,
                of_type: Type::String,
                code: Code::String(key.as_bytes().to_vec()),
            };
            return Ok(Part {
                span,
                of_type: Type::Set,
                code: Code::Key(variable, Box::new(key)),
            });
        }
    }
    Err(unknown_name(&path, span))
}

fn unknown_name(path: &str, span: Span) -> Error {
    let error = Error::parse(span, format!("there is no {path}"));
    if FUNCTIONS.iter().any(|function| function.name == path) {
        return error.with_hint(format!("{path} is a function: write {path}(…)"));
    }
    let names = VARIABLES.iter().map(|(name, ..)| *name).chain(["true", "false"]);
    match nearest(path, names) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error,
    }
}

fn booleans(operands: &[Expr], mark: &str) -> Result<Vec<Part>, Error> {
    let mut parts: Vec<Part> = Vec::with_capacity(operands.len());
    let is_boolean = |part: &Part| fits(part, Param::Is(Type::Bool), || format!("beside `{mark}`"));
    for operand in operands {
        parts.push(check(operand)?);
        // The first two are checked together, as in a tree of pairs.
        match parts.as_slice() {
            [first, second] => {
                is_boolean(first)?;
                is_boolean(second)?;
            }
            [_] | [] => {}
            [.., last] => is_boolean(last)?,
        }
    }
    Ok(parts)
}

/// Chooses how two values are compared: by the type of the left one, unless it is untyped.
fn comparable(left: &Part, right: &Part, span: Span) -> Result<Type, Error> {
    let of_type = match left.of_type {
        Type::Untyped => right.of_type,
        of_type => of_type,
    };
    match of_type {
        Type::String | Type::Int => {}
        Type::Untyped => {
            let error = Error::new(ErrorKind::Type, span, "neither side of the comparison has a known type");
            return Err(error.with_hint("compare with a text, or use set(…).contains(…)"));
        }
        of_type => {
            let message = format!("{} cannot be compared with == or !=", of_type.name());
            let error = Error::new(ErrorKind::Type, span, message);
            return Err(match of_type {
                Type::Bool => error.with_hint("write the condition itself, or ! before it"),
                Type::Set => error.with_hint("use contains, contains_any, contains_all or is_empty"),
                Type::Time => error.with_hint("use before, after or between"),
                _ => error,
            });
        }
    }
    for side in [left, right] {
        fits(side, Param::Is(of_type), || "in this comparison".to_owned())?;
    }
    Ok(of_type)
}

fn fits(part: &Part, wanted: Param, place: impl FnOnce() -> String) -> Result<(), Error> {
    if wanted.takes(part.of_type) {
        return Ok(());
    }
    let message = format!("expected {} {}, found {}", wanted.name(), place(), part.of_type.name());
    let error = Error::new(ErrorKind::Type, part.span, message);
    Err(match (wanted, part.of_type) {
        (Param::Is(Type::Set), Type::String) => error.with_hint("write set(…) around a text"),
        (Param::Is(Type::Set), Type::Dict) => error.with_hint("name a key: [\"key\"]"),
        _ => error,
    })
}

fn call(span: Span, callee: &Expr, arguments: &[Expr]) -> Result<Part, Error> {
    let (signature, receiver) = callee_of(callee)?;
    let is_method = receiver.is_some();
    let mut parts: Vec<Part> = receiver.into_iter().collect();
    for argument in arguments {
        parts.push(value(argument)?);
    }
    let enough = parts.len() >= signature.params.len();
    if !enough || (signature.rest.is_none() && parts.len() > signature.params.len()) {
        let message = format!(
            "wrong number of arguments: found {}, expected {}",
            parts.len() - usize::from(is_method),
            signature.shape(is_method)
        );
        return Err(Error::parse(span, message));
    }
    for (index, part) in parts.iter().enumerate() {
        if let Some(param) = signature.param(index) {
            fits(part, param, || {
                if is_method && index == 0 {
                    format!("before .{}", signature.name)
                } else {
                    format!("in {}", signature.shape(is_method))
                }
            })?;
        }
    }
    let pattern = pattern(signature.builtin, parts.get(1));
    Ok(Part {
        span,
        of_type: signature.result,
        code: Code::Call(signature, parts, pattern),
    })
}

/// Compiles a literal pattern.
fn pattern(builtin: Builtin, argument: Option<&Part>) -> Option<Result<Pattern, String>> {
    match (builtin, &argument?.code) {
        (Builtin::RegexMatch, Code::String(text)) => Some(Pattern::of_glob(text)),
        (Builtin::RegexReplace, Code::String(text)) => Some(Pattern::new(text)),
        _ => None,
    }
}

/// Resolves the function or method of a call, and its receiver.
fn callee_of(callee: &Expr) -> Result<(&'static Signature, Option<Part>), Error> {
    let function = |name: &str| FUNCTIONS.iter().find(|function| function.name == name);
    match &callee.node {
        Node::Name(name) => match function(name) {
            Some(signature) => Ok((signature, None)),
            None => Err(unknown_function(name, callee.span)),
        },
        Node::Member(base, name) => {
            if let Some(method) = METHODS.iter().find(|method| method.name == name) {
                return Ok((method, Some(check(base)?)));
            }
            match &base.node {
                Node::Name(module) => {
                    let path = format!("{module}.{name}");
                    match function(&path) {
                        Some(signature) => Ok((signature, None)),
                        None => Err(unknown_function(&path, callee.span)),
                    }
                }
                _ => Err(unknown_method(name, callee.span)),
            }
        }
        _ => Err(Error::parse(callee.span, "only a function or a method can be called")),
    }
}

fn unknown_function(name: &str, span: Span) -> Error {
    let error = Error::parse(span, format!("there is no function {name}"));
    if METHODS.iter().any(|method| method.name == name) {
        return error.with_hint(format!("{name} is a method: write value.{name}(…)"));
    }
    match nearest(name, FUNCTIONS.iter().map(|function| function.name)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => match name.rsplit_once('.') {
            Some((_, method)) => unknown_method(method, span),
            None => error,
        },
    }
}

fn unknown_method(name: &str, span: Span) -> Error {
    let error = Error::parse(span, format!("there is no method {name}"));
    if FUNCTIONS.iter().any(|function| function.name == name) {
        return error.with_hint(format!("{name} is a function: write {name}(…)"));
    }
    match nearest(name, METHODS.iter().map(|method| method.name)) {
        Some(near) => error.with_hint(format!("did you mean .{near}?")),
        None => error,
    }
}

impl Part {
    /// Calls the visitor with this part and every part inside it.
    pub(super) fn each_part(&self, each: &mut impl FnMut(&Self)) {
        each(self);
        match &self.code {
            Code::Not(part) | Code::Key(_, part) => part.each_part(each),
            Code::And(parts) | Code::Or(parts) | Code::Call(_, parts, _) => {
                for part in parts {
                    part.each_part(each);
                }
            }
            Code::Equal(left, right, ..) => {
                left.each_part(each);
                right.each_part(each);
            }
            Code::Bool(_) | Code::String(_) | Code::Int(_) | Code::Float | Code::Variable(_) => {}
        }
    }
}
