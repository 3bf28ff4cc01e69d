//! Evaluates a condition for one request.

use std::borrow::Cow;

use crate::domain::rules::predicate::arguments::{Arguments, dict, failed, int, string, wrong};
use crate::domain::rules::predicate::call::call;
use crate::domain::rules::predicate::check::{Code, Part, Variable};
use crate::domain::rules::predicate::error::{Error, Span};
use crate::domain::rules::predicate::value::{Dict, Set, Type, Value};
use crate::domain::rules::subject::Subject;

/// Evaluates one part; short-circuited parts are not evaluated.
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
        Code::Call(signature, parts, pattern) => {
            let evaluated = |part: &'a Part| Ok((evaluate(part, subject)?, part.span));
            let given = parts.iter().map(evaluated).collect::<Result<_, Error>>()?;
            call(part.span, signature, Arguments::new(given), pattern.as_ref())
        }
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
        let unknown = |why: &String| failed(span, format!("the labels of the resources are unknown: {why}"));
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

fn boolean(part: &Part, subject: &Subject) -> Result<bool, Error> {
    match evaluate(part, subject)? {
        Value::Bool(value) => Ok(value),
        other => Err(wrong(part.span, Type::Bool, &other)),
    }
}
