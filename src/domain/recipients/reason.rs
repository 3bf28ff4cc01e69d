//! Why someone receives a request.

use std::fmt;
use std::time::Duration;

/// Why a recipient is notified of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An entry of `role_to_recipients`, such as `dba`, and the position in it.
    Role { role: String, position: usize },
    /// The entry `"*"`, which applies to every role without its own entry.
    OtherRoles { position: usize },
    /// A rule names the recipient; records of earlier versions do not contain the name of the rule.
    Rule(Option<String>),
    /// The request suggests the reviewer.
    Suggested,
    /// The request was still pending this long after its announcement. A manager is notified because a recipient has not
    /// reviewed, and others because `escalation.role_to_recipients` names them.
    Escalation { after: Duration, is_manager: bool },
    /// A recipient is out of office, and the message names the reader. `person` is the recipient as the record writes it.
    OutOfOffice { person: String, name: String },
}

impl fmt::Display for Reason {
    /// Writes where the recipient is configured, such as `role_to_recipients.dba[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role { role, position } => write!(f, "role_to_recipients.{role}[{position}]"),
            Self::OtherRoles { position } => write!(f, "role_to_recipients.\"*\"[{position}]"),
            Self::Rule(_) => f.write_str("access_monitoring_rule"),
            Self::Suggested => f.write_str("suggested_reviewers"),
            Self::Escalation { is_manager: true, .. } => f.write_str("escalation.manager"),
            Self::Escalation { .. } => f.write_str("escalation.role_to_recipients"),
            Self::OutOfOffice { .. } => f.write_str("notify.out_of_office"),
        }
    }
}
