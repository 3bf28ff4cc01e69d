//! A compiled condition.

use crate::domain::rules::predicate::check::{Code, Part, Variable, check};
use crate::domain::rules::predicate::error::{Error, ErrorKind, Span};
use crate::domain::rules::predicate::eval::{deciding, evaluate};
use crate::domain::rules::predicate::parse::parse;
use crate::domain::rules::predicate::value::{Type, Value};
use crate::domain::rules::subject::Subject;

/// A condition whose names and types are known.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    code: Part,
    uses_labels: bool,
    uses_traits: bool,
}

/// The answer of a condition for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// A value that is not a boolean, which counts as false.
    NotBoolean,
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// The first mistake, of kind parse or type.
    pub fn new(text: &str) -> Result<Self, Error> {
        let code = check(&parse(text)?)?;
        Ok(Self {
            text: text.to_owned(),
            uses_labels: uses(&code, &[Variable::LabelsUnion, Variable::LabelsIntersection]),
            uses_traits: uses(&code, &[Variable::Traits]),
            code,
        })
    }

    /// Evaluates the condition for a request.
    ///
    /// # Errors
    /// A function that could not be evaluated; the request is then not matched.
    pub fn holds(&self, subject: &Subject) -> Result<Answer, Error> {
        Ok(match evaluate(&self.code, subject)? {
            Value::Bool(true) => Answer::Yes,
            Value::Bool(false) => Answer::No,
            _ => Answer::NotBoolean,
        })
    }

    /// Returns the parts that made the condition false, as they are written.
    pub fn deciding(&self, subject: &Subject) -> Vec<String> {
        let mut found: Vec<Span> = Vec::new();
        deciding(&self.code, subject, &mut found);
        found.iter().map(|span| span.of(&self.text)).collect()
    }

    /// Returns the errors of parts that always fail: invalid patterns.
    pub fn certain_failures(&self) -> Vec<Error> {
        let mut found = Vec::new();
        self.code.each_part(&mut |part| {
            if let Code::Call(_, parts, Some(Err(message))) = &part.code {
                let span = parts.get(1).map_or(part.span, |pattern| pattern.span);
                let message = format!("the pattern cannot be used: {message}");
                found.push(Error::new(ErrorKind::Eval, span, message));
            }
        });
        found
    }

    /// Returns the type of the condition, if it is never a boolean.
    pub fn never_boolean(&self) -> Option<&'static str> {
        match self.code.of_type {
            Type::Bool | Type::Untyped => None,
            other => Some(other.name()),
        }
    }

    /// Returns whether the condition uses the labels of the requested resources.
    pub fn uses_labels(&self) -> bool {
        self.uses_labels
    }

    /// Returns whether the condition uses the traits of the requester.
    pub fn uses_traits(&self) -> bool {
        self.uses_traits
    }
}

/// Returns whether a part uses one of these.
fn uses(code: &Part, variables: &[Variable]) -> bool {
    let mut found = false;
    code.each_part(&mut |part| {
        if let Code::Variable(variable) | Code::Key(variable, _) = &part.code {
            found |= variables.contains(variable);
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_double_quotes_is_named_with_its_correction() {
        for (text, expected) in [
            (
                "access_request.spec.user == 'bob'",
                r#"text in single quotes cannot be used in a condition; write "bob""#,
            ),
            (
                r#"access_request.spec.user == 'say "\'"#,
                r#"text in single quotes cannot be used in a condition; write "say \"\\""#,
            ),
            ("set('a", "the text has no closing '; write text in double quotes"),
            (
                "access_request.spec.roles.contains(dba)",
                r#"there is no dba; text needs double quotes: "dba""#,
            ),
            (
                "contains(access_request.spec.roles, dba)",
                r#"there is no dba; text needs double quotes: "dba""#,
            ),
            (
                "access_request.spec.user == bob.smith",
                r#"there is no bob.smith; text needs double quotes: "bob.smith""#,
            ),
            (
                "access_request.spec.user == bob@example.com",
                r#""@" is not allowed here; text needs double quotes"#,
            ),
            ("set(prod-db).isempty()", "there is no prod; text needs double quotes"),
            (
                "user.traits[team].isempty()",
                r#"there is no team; text needs double quotes: "team""#,
            ),
            // A near name is the likelier mistake, and a condition or a receiver is no text.
            (
                "contains(access_request.spec.role, \"dba\")",
                "there is no access_request.spec.role; did you mean access_request.spec.roles?",
            ),
            ("dba", "there is no dba"),
            ("dba.contains(\"x\")", "there is no dba"),
            (
                "set(\"a\" + \"b\").isempty()",
                "arithmetic cannot be used in a condition",
            ),
        ] {
            let error = Condition::new(text).expect_err(text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }
}
