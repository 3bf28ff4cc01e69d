//! The parts of an Access Monitoring Rule that concern notifications.

use std::collections::BTreeMap;

use crate::domain::rules::schedule::Schedule;

/// The plugin name in rules for this program; the same as the Go plugin's.
pub const PLUGIN: &str = "msteams";

/// The kind of these resources.
pub const KIND: &str = "access_monitoring_rule";

/// The subject of rules for Access Requests.
pub const SUBJECT: &str = "access_request";

/// One rule as written, which may be invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub name: String,
    pub subjects: Vec<String>,
    pub condition: String,
    /// The plugin that notifies; empty if the rule does not notify.
    pub plugin: String,
    pub recipients: Vec<String>,
    /// Empty means always.
    pub schedules: BTreeMap<String, Schedule>,
}

impl Rule {
    /// Returns the recipients of the rule, without empty texts.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.recipients
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// Returns whether a plugin of this name acts on the rule.
    pub fn belongs_to(&self, plugin: &str) -> bool {
        self.plugin == plugin && self.subjects.iter().any(|subject| subject == SUBJECT)
    }
}
