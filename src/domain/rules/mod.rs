//! Access Monitoring Rules: whom they want told of a request, and why not.
//!
//! Architecture Invariant: a rule is read once; asking it costs no more than its condition. A rule that cannot be
//! understood concerns nobody but itself.

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
