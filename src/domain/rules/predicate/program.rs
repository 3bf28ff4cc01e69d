//! A condition that was read once and can be asked often.

use crate::domain::rules::predicate::check::{Part, Variable, check};
use crate::domain::rules::predicate::error::{Error, Span};
use crate::domain::rules::predicate::eval::{deciding, evaluate};
use crate::domain::rules::predicate::parse::parse;
use crate::domain::rules::predicate::value::Value;
use crate::domain::rules::subject::Subject;

/// A condition whose names and types are known.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    code: Part,
}

/// What a condition says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// Something that is neither true nor false, which counts as no.
    NotBoolean,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// The first mistake, of kind parse or type.
    pub fn new(text: &str) -> Result<Self, Error> {
        Ok(Self {
            text: text.to_owned(),
            code: check(&parse(text)?)?,
        })
    }

    /// Asks the condition about a request.
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

    /// Tells whether the condition asks for the labels of the requested resources.
    pub fn uses_labels(&self) -> bool {
        self.uses(&[Variable::LabelsUnion, Variable::LabelsIntersection])
    }

    /// Tells whether the condition asks for the traits of the requester.
    pub fn uses_traits(&self) -> bool {
        self.uses(&[Variable::Traits])
    }

    fn uses(&self, variables: &[Variable]) -> bool {
        let mut found = false;
        self.code
            .each_variable(&mut |variable| found |= variables.contains(&variable));
        found
    }
}
