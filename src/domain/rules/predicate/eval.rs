//! What a condition is worth for one request.

use std::borrow::Cow;

use crate::domain::rules::predicate::check::{Code, Part, Variable};
use crate::domain::rules::predicate::error::{Error, ErrorKind, Span};
use crate::domain::rules::predicate::functions::{Builtin, Signature};
use crate::domain::rules::predicate::instant::Instant;
use crate::domain::rules::predicate::pattern::Pattern;
use crate::domain::rules::predicate::texts::{replace_all, split};
use crate::domain::rules::predicate::value::{Dict, Set, Type, Value};
use crate::domain::rules::predicate::version::Version;
use crate::domain::rules::predicate::{email, letters};
use crate::domain::rules::subject::Subject;

/// Evaluates one part; what a short circuit leaves out is not looked at.
pub(super) fn evaluate<'a>(part: &'a Part, subject: &'a Subject) -> Result<Value<'a>, Error> {
    match &part.code {
        Code::Bool(value) => Ok(Value::Bool(*value)),
        Code::String(bytes) => Ok(Value::String(Cow::Borrowed(bytes))),
        Code::Int(number) => Ok(Value::Int(*number)),
        Code::Float => Ok(Value::Float),
        Code::Variable(variable) => look_up(*variable, subject, part.span),
        Code::Key(variable, key) => {
            let span = key.span;
            let key = string(evaluate(key, subject)?, span)?;
            let dict = dict(look_up(*variable, subject, part.span)?, part.span)?;
            Ok(Value::Set(match dict {
                Cow::Borrowed(dict) => dict.get(&*key).map_or_else(|| Cow::Owned(Set::new()), Cow::Borrowed),
                Cow::Owned(mut dict) => Cow::Owned(dict.remove(&*key).unwrap_or_default()),
            }))
        }
        Code::Not(operand) => Ok(Value::Bool(!boolean(operand, subject)?)),
        Code::And(operands) => {
            for operand in operands {
                if !boolean(operand, subject)? {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        }
        Code::Or(operands) => {
            for operand in operands {
                if boolean(operand, subject)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        Code::Equal(left, right, of_type, negated) => {
            let (one, other) = (evaluate(left, subject)?, evaluate(right, subject)?);
            let equal = match of_type {
                Type::Int => int(&one, left.span)? == int(&other, right.span)?,
                _ => string(one, left.span)? == string(other, right.span)?,
            };
            Ok(Value::Bool(equal != *negated))
        }
        Code::Call(signature, parts, pattern) => call(part.span, signature, parts, pattern.as_ref(), subject),
    }
}

/// Finds the parts that made a condition false.
pub(super) fn deciding(part: &Part, subject: &Subject, found: &mut Vec<Span>) {
    match &part.code {
        Code::And(operands) => {
            let is_false = |operand: &&Part| matches!(boolean(operand, subject), Ok(false));
            if let Some(operand) = operands.iter().find(is_false) {
                deciding(operand, subject, found);
            }
        }
        Code::Or(operands) => {
            for operand in operands {
                deciding(operand, subject, found);
            }
        }
        _ => found.push(part.span),
    }
}

fn look_up<'a>(variable: Variable, subject: &'a Subject, span: Span) -> Result<Value<'a>, Error> {
    let set = |set: &'a Set| Value::Set(Cow::Borrowed(set));
    let dict = |dict: &'a Dict| Value::Dict(Cow::Borrowed(dict));
    let text = |text: &'a str| Value::String(Cow::Borrowed(text.as_bytes()));
    let labels = || {
        let unknown = |why: &String| failed(span, format!("the labels of the resources are not known: {why}"));
        subject.labels.as_ref().map_err(unknown)
    };
    Ok(match variable {
        Variable::Roles => set(&subject.roles),
        Variable::SuggestedReviewers => set(&subject.suggested_reviewers),
        Variable::SystemAnnotations => dict(&subject.system_annotations),
        Variable::User => text(&subject.user),
        Variable::Reason => text(&subject.reason),
        Variable::Created => Value::Time(subject.created.into()),
        Variable::Expiry => Value::Time(subject.expiry.into()),
        Variable::LabelsUnion => dict(&labels()?.union),
        Variable::LabelsIntersection => dict(&labels()?.intersection),
        Variable::Traits => dict(&subject.traits),
    })
}

fn failed(span: Span, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Eval, span, message)
}

fn wrong(span: Span, wanted: Type, found: &Value<'_>) -> Error {
    let found = found.of_type().name();
    failed(span, format!("expected {}, got {found}", wanted.name()))
}

fn boolean(part: &Part, subject: &Subject) -> Result<bool, Error> {
    match evaluate(part, subject)? {
        Value::Bool(value) => Ok(value),
        other => Err(wrong(part.span, Type::Bool, &other)),
    }
}

fn string(value: Value<'_>, span: Span) -> Result<Cow<'_, [u8]>, Error> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(span, Type::String, &other)),
    }
}

fn int(value: &Value<'_>, span: Span) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(wrong(span, Type::Int, other)),
    }
}

fn set(value: Value<'_>, span: Span) -> Result<Cow<'_, Set>, Error> {
    match value {
        Value::Set(set) => Ok(set),
        other => Err(wrong(span, Type::Set, &other)),
    }
}

fn dict(value: Value<'_>, span: Span) -> Result<Cow<'_, Dict>, Error> {
    match value {
        Value::Dict(dict) => Ok(dict),
        other => Err(wrong(span, Type::Dict, &other)),
    }
}

/// The arguments of a call that are left, each with its place.
struct Arguments<'a>(std::vec::IntoIter<(Value<'a>, Span)>);

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Result<(Value<'a>, Span), Error> {
        // `check` has counted them.
        self.0
            .next()
            .ok_or_else(|| failed(Span::default(), "an argument is missing"))
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        match self.next()? {
            (Value::Bool(value), _) => Ok(value),
            (other, span) => Err(wrong(span, Type::Bool, &other)),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        let (value, span) = self.next()?;
        string(value, span)
    }

    fn set(&mut self) -> Result<Cow<'a, Set>, Error> {
        let (value, span) = self.next()?;
        set(value, span)
    }

    fn time(&mut self) -> Result<Instant, Error> {
        match self.next()? {
            (Value::Time(time), _) => Ok(time),
            (other, span) => Err(wrong(span, Type::Time, &other)),
        }
    }

    fn strings(self) -> impl Iterator<Item = Result<Vec<u8>, Error>> {
        self.0.map(|(value, span)| string(value, span).map(Cow::into_owned))
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each function")]
fn call<'a>(
    span: Span,
    signature: &Signature,
    parts: &'a [Part],
    pattern: Option<&Result<Pattern, String>>,
    subject: &'a Subject,
) -> Result<Value<'a>, Error> {
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        values.push((evaluate(part, subject)?, part.span));
    }
    let mut given = Arguments(values.into_iter());
    let owned = |set: Set| Value::Set(Cow::Owned(set));
    Ok(match signature.builtin {
        Builtin::Set => owned(given.strings().collect::<Result<_, _>>()?),
        Builtin::Dict => Value::Dict(Cow::Owned(dict_of(given)?)),
        Builtin::Pair => Value::Pair(Box::new((given.next()?.0, given.next()?.0))),
        Builtin::Union => {
            let mut union = Set::new();
            for (value, span) in given.0 {
                union.extend(set(value, span)?.iter().cloned());
            }
            owned(union)
        }
        Builtin::IfElse => {
            let (condition, yes, no) = (given.boolean()?, given.next()?, given.next()?);
            if condition { yes.0 } else { no.0 }
        }
        Builtin::Choose => {
            for (value, span) in given.0 {
                match value {
                    Value::Option(true, value) => return Ok(*value),
                    Value::Option(false, _) => {}
                    other => return Err(wrong(span, Type::Option, &other)),
                }
            }
            return Err(failed(span, "no option has a true condition"));
        }
        Builtin::Option => Value::Option(given.boolean()?, Box::new(given.next()?.0)),
        Builtin::Upper => each_text(given.next()?, letters::upper)?,
        Builtin::Lower => each_text(given.next()?, letters::lower)?,
        Builtin::ReplaceAll => {
            let (value, from, to) = (given.next()?, given.string()?, given.string()?);
            each_text(value, |text| replace_all(text, &from, &to))?
        }
        Builtin::Split => {
            let (texts, separator) = (given.set()?, given.string()?);
            owned(texts.iter().flat_map(|text| split(text, &separator)).collect())
        }
        Builtin::EmailLocal => {
            let local = |text: &Vec<u8>| {
                let local = str::from_utf8(text).ok().and_then(email::local_part);
                let shown = String::from_utf8_lossy(text);
                let local = local.ok_or_else(|| failed(span, format!("{shown:?} is not one mail address")))?;
                Ok(local.into_bytes())
            };
            owned(given.set()?.iter().map(local).collect::<Result<_, Error>>()?)
        }
        Builtin::RegexReplace => {
            let (texts, text, template) = (given.set()?, given.string()?, given.string()?);
            let pattern = compiled(pattern, || Pattern::new(&text), span)?;
            let replaced = texts.iter().filter_map(|text| pattern.replace(text, &template));
            owned(replaced.filter(|text| !text.is_empty()).collect())
        }
        Builtin::RegexMatch => {
            let (texts, text) = (given.set()?, given.string()?);
            let pattern = compiled(pattern, || Pattern::of_glob(&text), span)?;
            Value::Bool(texts.iter().any(|text| pattern.is_match(text)))
        }
        Builtin::Contains => {
            let (texts, text) = (given.set()?, given.string()?);
            Value::Bool(texts.contains(&*text))
        }
        Builtin::ContainsAny => {
            let (all, some) = (given.set()?, given.set()?);
            Value::Bool(some.iter().any(|text| all.contains(text)))
        }
        // Teleport's rule: nothing is not contained in anything.
        Builtin::ContainsAll => {
            let (all, some) = (given.set()?, given.set()?);
            Value::Bool(!some.is_empty() && some.is_subset(&all))
        }
        Builtin::IsEmpty => Value::Bool(given.set()?.is_empty()),
        Builtin::Add => {
            let mut texts = given.set()?.into_owned();
            for text in given.strings() {
                texts.insert(text?);
            }
            owned(texts)
        }
        Builtin::Remove => remove(given)?,
        Builtin::Put => {
            let (value, span) = given.next()?;
            let mut dict = dict(value, span)?.into_owned();
            dict.insert(given.string()?.into_owned(), given.set()?.into_owned());
            Value::Dict(Cow::Owned(dict))
        }
        Builtin::AddValues => {
            let (value, span) = given.next()?;
            let mut dict = dict(value, span)?.into_owned();
            let texts = dict.entry(given.string()?.into_owned()).or_default();
            for text in given.strings() {
                texts.insert(text?);
            }
            Value::Dict(Cow::Owned(dict))
        }
        Builtin::Rfc3339 => {
            let text = given.string()?;
            let time = str::from_utf8(&text).ok().and_then(Instant::parse);
            let shown = String::from_utf8_lossy(&text);
            Value::Time(
                time.ok_or_else(|| failed(span, format!("{shown:?} is not a time such as 2026-01-31T09:00:00Z")))?,
            )
        }
        Builtin::Before => Value::Bool(given.time()? < given.time()?),
        Builtin::After => Value::Bool(given.time()? > given.time()?),
        Builtin::Between => {
            let time = matches!(given.0.as_slice(), [(Value::Time(_), _), ..]);
            Value::Bool(if time {
                inside(given, span)?
            } else {
                version_inside(given)?
            })
        }
        Builtin::TimeBetween => Value::Bool(inside(given, span)?),
        Builtin::NewerThan => compare_versions(given, |one, other| one > other)?,
        Builtin::OlderThan => compare_versions(given, |one, other| one < other)?,
    })
}

fn compiled(
    known: Option<&Result<Pattern, String>>,
    make: impl FnOnce() -> Result<Pattern, String>,
    span: Span,
) -> Result<Cow<'_, Pattern>, Error> {
    let pattern = match known {
        Some(Ok(pattern)) => Ok(Cow::Borrowed(pattern)),
        Some(Err(message)) => Err(message.clone()),
        None => make().map(Cow::Owned),
    };
    pattern.map_err(|message| failed(span, format!("the pattern cannot be used: {message}")))
}

fn dict_of(given: Arguments<'_>) -> Result<Dict, Error> {
    let mut all = Dict::new();
    for (value, span) in given.0 {
        let Value::Pair(pair) = value else {
            return Err(wrong(span, Type::Pair, &value));
        };
        all.insert(string(pair.0, span)?.into_owned(), set(pair.1, span)?.into_owned());
    }
    Ok(all)
}

/// Changes a text, or every text of a set.
fn each_text((value, span): (Value<'_>, Span), change: impl Fn(&[u8]) -> Vec<u8>) -> Result<Value<'_>, Error> {
    match value {
        Value::String(text) => Ok(Value::String(Cow::Owned(change(&text)))),
        Value::Set(texts) => Ok(Value::Set(Cow::Owned(texts.iter().map(|text| change(text)).collect()))),
        other => Err(failed(
            span,
            format!("expected a text or a set, got {}", other.of_type().name()),
        )),
    }
}

fn remove(mut given: Arguments<'_>) -> Result<Value<'_>, Error> {
    match given.next()? {
        (Value::Set(texts), _) => {
            let mut texts = texts.into_owned();
            for text in given.strings() {
                texts.remove(&text?);
            }
            Ok(Value::Set(Cow::Owned(texts)))
        }
        (Value::Dict(dict), _) => {
            let mut dict = dict.into_owned();
            for key in given.strings() {
                dict.remove(&key?);
            }
            Ok(Value::Dict(Cow::Owned(dict)))
        }
        (other, span) => Err(failed(
            span,
            format!("expected a set or a dict, got {}", other.of_type().name()),
        )),
    }
}

/// Tells whether a time lies between two others, in either order; neither of them counts.
fn inside(mut given: Arguments<'_>, span: Span) -> Result<bool, Error> {
    if given.0.len() != 3 {
        return Err(failed(span, "between takes two times"));
    }
    let (time, one, other) = (given.time()?, given.time()?, given.time()?);
    Ok(one.min(other) < time && time < one.max(other))
}

/// Tells whether a version lies between two others, the lower one included.
fn version_inside(given: Arguments<'_>) -> Result<bool, Error> {
    let texts = version_texts(given)?;
    let [version, low, high] = texts.as_slice() else {
        return Ok(false);
    };
    let (version, low, high) = (read_version(version)?, read_version(low)?, read_version(high)?);
    Ok(low <= version && version < high)
}

fn compare_versions<'a>(
    given: Arguments<'_>,
    holds: impl FnOnce(&Version<'_>, &Version<'_>) -> bool,
) -> Result<Value<'a>, Error> {
    let texts = version_texts(given)?;
    let [one, other] = texts.as_slice() else {
        return Ok(Value::Bool(false));
    };
    Ok(Value::Bool(holds(&read_version(one)?, &read_version(other)?)))
}

fn version_texts(given: Arguments<'_>) -> Result<Vec<(String, Span)>, Error> {
    let text = |(value, span)| {
        let text = string(value, span)?.into_owned();
        String::from_utf8(text)
            .map(|text| (text, span))
            .map_err(|_| failed(span, "the version is not UTF-8"))
    };
    given.0.map(text).collect()
}

fn read_version((text, span): &(String, Span)) -> Result<Version<'_>, Error> {
    Version::parse(text).ok_or_else(|| failed(*span, format!("{text:?} is not a version such as 1.2.3")))
}
