//! Access Monitoring Rules: which recipients they name for a request, and why they do not match.
//!
//! Architecture Invariant: a rule is compiled once, and evaluating it costs no more than its condition. An invalid rule does
//! not affect other rules.

mod compiled;
mod labels;
mod predicate;
mod rule;
mod rule_set;
mod schedule;
mod subject;

pub use compiled::{CompiledRule, Failure, FailureKind, RuleAnswer};
pub use labels::Labels;
pub use predicate::{Answer, Condition, Dict, Error, ErrorKind, Expr, Node, Set, Span, parse};
pub use rule::{KIND, PLUGIN, Rule, SUBJECT};
pub use rule_set::{Route, RuleSet, Source};
pub use schedule::{DAYS, Schedule, Shift, Zones, clock_time, weekday};
pub use subject::{Subject, dict_of, set_of};
