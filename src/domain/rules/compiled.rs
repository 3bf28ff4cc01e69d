//! A compiled rule.

use jiff::Timestamp;

use crate::domain::recipients::Address;
use crate::domain::rules::predicate::{Answer, Condition, Error, ErrorKind};
use crate::domain::rules::rule::Rule;
use crate::domain::rules::schedule::{Duty, Zones};
use crate::domain::rules::subject::Subject;

/// A rule with its compiled condition and schedules, or the reason why they are invalid.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    rule: Rule,
    condition: Result<Condition, Error>,
    duties: Vec<(String, Duty)>,
}

/// The answer of a rule for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAnswer {
    Matches,
    /// The request was made outside every schedule.
    OffDuty,
    False,
    /// The condition is neither true nor false.
    NotBoolean,
    Failed(Failure),
}

/// The reason why a rule could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    Condition(ErrorKind),
    Schedule,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: FailureKind::Condition(error.kind),
            message: error.to_string(),
        }
    }
}

impl FailureKind {
    pub const ALL: [Self; 4] = [
        Self::Condition(ErrorKind::Parse),
        Self::Condition(ErrorKind::Type),
        Self::Condition(ErrorKind::Eval),
        Self::Schedule,
    ];

    /// Returns the identifier for JSON and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Condition(kind) => kind.as_str(),
            Self::Schedule => "schedule",
        }
    }
}

impl CompiledRule {
    pub fn new(rule: Rule, zones: Zones<'_>) -> Self {
        let duty = |(name, schedule)| (String::clone(name), Duty::new(schedule, zones));
        Self {
            condition: Condition::new(&rule.condition),
            duties: rule.schedules.iter().map(duty).collect(),
            rule,
        }
    }

    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Returns the error of a rule that can never be evaluated.
    pub fn broken(&self) -> Option<&Error> {
        self.condition.as_ref().err()
    }

    /// Evaluates the rule for a request.
    pub fn answer(&self, subject: &Subject) -> RuleAnswer {
        match self.on_duty(subject.created) {
            Err(message) => {
                let kind = FailureKind::Schedule;
                return RuleAnswer::Failed(Failure { kind, message });
            }
            Ok(false) => return RuleAnswer::OffDuty,
            Ok(true) => {}
        }
        let answer = match &self.condition {
            Ok(condition) => condition.holds(subject),
            Err(error) => return RuleAnswer::Failed(error.into()),
        };
        match answer {
            Ok(Answer::Yes) => RuleAnswer::Matches,
            Ok(Answer::No) => RuleAnswer::False,
            Ok(Answer::NotBoolean) => RuleAnswer::NotBoolean,
            Err(error) => RuleAnswer::Failed((&error).into()),
        }
    }

    /// Returns whether a schedule covers the time. The error of a broken schedule counts only if none does.
    fn on_duty(&self, moment: Timestamp) -> Result<bool, String> {
        let mut broken = None;
        for (name, duty) in &self.duties {
            match duty.covers(moment) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(message) => broken = Some(format!("schedule {name:?}: {message}")),
            }
        }
        broken.map_or(Ok(self.duties.is_empty()), Err)
    }

    /// Returns why a rule does not match a request; `None` if it matches.
    pub fn why_not(&self, subject: &Subject, answer: &RuleAnswer) -> Option<String> {
        match answer {
            RuleAnswer::Matches => None,
            RuleAnswer::OffDuty => Some("the request was made outside its schedules".to_owned()),
            RuleAnswer::NotBoolean => Some("its condition is neither true nor false".to_owned()),
            RuleAnswer::Failed(failure) => Some(failure.message.clone()),
            RuleAnswer::False => {
                let condition = self.condition.as_ref().ok();
                let parts = condition
                    .map(|condition| condition.deciding(subject))
                    .unwrap_or_default();
                Some(match parts.as_slice() {
                    [part] => format!("{part} is false"),
                    parts => format!("all are false: {}", parts.join(" · ")),
                })
            }
        }
    }

    /// Returns the invalid recipients, as written.
    pub fn unreachable(&self) -> impl Iterator<Item = &str> {
        self.rule.named().filter(|text| Address::parse(text).is_err())
    }

    pub fn uses_labels(&self) -> bool {
        self.condition.as_ref().is_ok_and(Condition::uses_labels)
    }

    pub fn uses_traits(&self) -> bool {
        self.condition.as_ref().is_ok_and(Condition::uses_traits)
    }
}
