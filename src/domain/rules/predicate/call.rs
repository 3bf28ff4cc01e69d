//! Evaluates the functions of a condition.

use std::borrow::Cow;

use crate::domain::rules::predicate::arguments::{Arguments, failed, set, string, wrong};
use crate::domain::rules::predicate::error::{Error, Span};
use crate::domain::rules::predicate::functions::{Builtin, Signature};
use crate::domain::rules::predicate::instant::Instant;
use crate::domain::rules::predicate::pattern::Pattern;
use crate::domain::rules::predicate::texts::{replace_all, split};
use crate::domain::rules::predicate::value::{Dict, Set, Type, Value};
use crate::domain::rules::predicate::version::Version;
use crate::domain::rules::predicate::{email, letters};

/// A pattern that was compiled with the condition, or its error.
type Compiled<'a> = Option<&'a Result<Pattern, String>>;

/// Calls a function with evaluated arguments.
pub(super) fn call<'a>(
    span: Span,
    signature: &Signature,
    mut given: Arguments<'a>,
    pattern: Compiled<'_>,
) -> Result<Value<'a>, Error> {
    match signature.builtin {
        Builtin::Set => given.strings().collect::<Result<_, _>>().map(owned),
        Builtin::Dict => dict_of(given),
        Builtin::Pair => Ok(Value::Pair(Box::new((given.next()?.0, given.next()?.0)))),
        Builtin::Union => union(given),
        Builtin::IfElse => if_else(given),
        Builtin::Choose => choose(given, span),
        Builtin::Option => Ok(Value::Option(given.boolean()?, Box::new(given.next()?.0))),
        Builtin::Upper => each_text(given.next()?, letters::upper),
        Builtin::Lower => each_text(given.next()?, letters::lower),
        Builtin::ReplaceAll => {
            let (value, from, to) = (given.next()?, given.string()?, given.string()?);
            each_text(value, |text| replace_all(text, &from, &to))
        }
        Builtin::Split => {
            let (texts, separator) = (given.set()?, given.string()?);
            Ok(owned(texts.iter().flat_map(|text| split(text, &separator)).collect()))
        }
        Builtin::EmailLocal => {
            let texts = given.set()?;
            email_local(&texts, span)
        }
        Builtin::RegexReplace => regex_replace(given, pattern, span),
        Builtin::RegexMatch => regex_match(given, pattern, span),
        Builtin::Contains => {
            let (texts, text) = (given.set()?, given.string()?);
            Ok(Value::Bool(texts.contains(&*text)))
        }
        Builtin::ContainsAny => {
            let (all, some) = (given.set()?, given.set()?);
            Ok(Value::Bool(some.iter().any(|text| all.contains(text))))
        }
        // As in Teleport: the empty set is contained in no set.
        Builtin::ContainsAll => {
            let (all, some) = (given.set()?, given.set()?);
            Ok(Value::Bool(!some.is_empty() && some.is_subset(&all)))
        }
        Builtin::IsEmpty => Ok(Value::Bool(given.set()?.is_empty())),
        Builtin::Add => add(given),
        Builtin::Remove => remove(given),
        Builtin::Put => put(given),
        Builtin::AddValues => add_values(given),
        Builtin::Rfc3339 => time(&given.string()?, span),
        Builtin::Before => Ok(Value::Bool(given.time()? < given.time()?)),
        Builtin::After => Ok(Value::Bool(given.time()? > given.time()?)),
        Builtin::Between => match given.rest() {
            [(Value::Time(_), _), ..] => inside(given, span),
            _ => version_inside(given),
        },
        Builtin::TimeBetween => inside(given, span),
        Builtin::NewerThan => compare_versions(given, |one, other| one > other),
        Builtin::OlderThan => compare_versions(given, |one, other| one < other),
    }
}

fn owned<'a>(set: Set) -> Value<'a> {
    Value::Set(Cow::Owned(set))
}

fn dict_of(given: Arguments<'_>) -> Result<Value<'_>, Error> {
    let mut all = Dict::new();
    for (value, span) in given {
        let Value::Pair(pair) = value else {
            return Err(wrong(span, Type::Pair, &value));
        };
        all.insert(string(pair.0, span)?.into_owned(), set(pair.1, span)?.into_owned());
    }
    Ok(Value::Dict(Cow::Owned(all)))
}

fn union(given: Arguments<'_>) -> Result<Value<'_>, Error> {
    let mut union = Set::new();
    for (value, span) in given {
        union.extend(set(value, span)?.iter().cloned());
    }
    Ok(owned(union))
}

fn if_else(mut given: Arguments<'_>) -> Result<Value<'_>, Error> {
    let (condition, yes, no) = (given.boolean()?, given.next()?, given.next()?);
    Ok(if condition { yes.0 } else { no.0 })
}

fn choose(given: Arguments<'_>, span: Span) -> Result<Value<'_>, Error> {
    for (value, span) in given {
        match value {
            Value::Option(true, value) => return Ok(*value),
            Value::Option(false, _) => {}
            other => return Err(wrong(span, Type::Option, &other)),
        }
    }
    Err(failed(span, "no option has a true condition"))
}

/// Transforms a text, or every text of a set.
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

fn email_local<'a>(texts: &Set, span: Span) -> Result<Value<'a>, Error> {
    let local = |text: &Vec<u8>| {
        let local = str::from_utf8(text).ok().and_then(email::local_part);
        let shown = String::from_utf8_lossy(text);
        let local = local.ok_or_else(|| failed(span, format!("{shown:?} is not one email address")))?;
        Ok(local.into_bytes())
    };
    texts.iter().map(local).collect::<Result<_, Error>>().map(owned)
}

fn regex_replace<'a>(mut given: Arguments<'a>, pattern: Compiled<'_>, span: Span) -> Result<Value<'a>, Error> {
    let (texts, text, template) = (given.set()?, given.string()?, given.string()?);
    let pattern = compiled(pattern, || Pattern::new(&text), span)?;
    let replaced = texts.iter().filter_map(|text| pattern.replace(text, &template));
    Ok(owned(replaced.filter(|text| !text.is_empty()).collect()))
}

fn regex_match<'a>(mut given: Arguments<'a>, pattern: Compiled<'_>, span: Span) -> Result<Value<'a>, Error> {
    let (texts, text) = (given.set()?, given.string()?);
    let pattern = compiled(pattern, || Pattern::of_glob(&text), span)?;
    Ok(Value::Bool(texts.iter().any(|text| pattern.is_match(text))))
}

fn compiled(
    known: Compiled<'_>,
    make: impl FnOnce() -> Result<Pattern, String>,
    span: Span,
) -> Result<Cow<'_, Pattern>, Error> {
    let pattern = match known {
        Some(Ok(pattern)) => Ok(Cow::Borrowed(pattern)),
        Some(Err(message)) => Err(message.clone()),
        None => make().map(Cow::Owned),
    };
    pattern.map_err(|message| failed(span, format!("invalid pattern: {message}")))
}

fn add(mut given: Arguments<'_>) -> Result<Value<'_>, Error> {
    let mut texts = given.set()?.into_owned();
    for text in given.strings() {
        texts.insert(text?);
    }
    Ok(owned(texts))
}

fn remove(mut given: Arguments<'_>) -> Result<Value<'_>, Error> {
    match given.next()? {
        (Value::Set(texts), _) => {
            let mut texts = texts.into_owned();
            for text in given.strings() {
                texts.remove(&text?);
            }
            Ok(owned(texts))
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

fn put(mut given: Arguments<'_>) -> Result<Value<'_>, Error> {
    let mut dict = given.dict()?.into_owned();
    dict.insert(given.string()?.into_owned(), given.set()?.into_owned());
    Ok(Value::Dict(Cow::Owned(dict)))
}

fn add_values(mut given: Arguments<'_>) -> Result<Value<'_>, Error> {
    let mut dict = given.dict()?.into_owned();
    let texts = dict.entry(given.string()?.into_owned()).or_default();
    for text in given.strings() {
        texts.insert(text?);
    }
    Ok(Value::Dict(Cow::Owned(dict)))
}

fn time<'a>(text: &[u8], span: Span) -> Result<Value<'a>, Error> {
    let time = str::from_utf8(text).ok().and_then(Instant::parse);
    let shown = String::from_utf8_lossy(text);
    let time = time.ok_or_else(|| failed(span, format!("{shown:?} is not a time such as 2026-01-31T09:00:00Z")))?;
    Ok(Value::Time(time))
}

/// Returns whether a time lies between two others, in either order; neither of them counts.
fn inside(mut given: Arguments<'_>, span: Span) -> Result<Value<'_>, Error> {
    if given.rest().len() != 3 {
        return Err(failed(span, "between takes two times"));
    }
    let (time, one, other) = (given.time()?, given.time()?, given.time()?);
    Ok(Value::Bool(one.min(other) < time && time < one.max(other)))
}

/// Returns whether a version lies between two others, the lower one included.
fn version_inside(given: Arguments<'_>) -> Result<Value<'_>, Error> {
    let texts = version_texts(given)?;
    let [version, low, high] = texts.as_slice() else {
        return Ok(Value::Bool(false));
    };
    let (version, low, high) = (read_version(version)?, read_version(low)?, read_version(high)?);
    Ok(Value::Bool(low <= version && version < high))
}

fn compare_versions(
    given: Arguments<'_>,
    holds: impl FnOnce(&Version<'_>, &Version<'_>) -> bool,
) -> Result<Value<'_>, Error> {
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
    given.into_iter().map(text).collect()
}

fn read_version((text, span): &(String, Span)) -> Result<Version<'_>, Error> {
    Version::parse(text).ok_or_else(|| failed(*span, format!("{text:?} is not a version such as 1.2.3")))
}
