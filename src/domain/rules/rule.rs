//! An Access Monitoring Rule, as far as it concerns notifications.

use std::collections::BTreeMap;

use crate::domain::rules::schedule::Schedule;

/// The name to which rules for this program are addressed; the Go plugin's is the same in every version.
pub const PLUGIN: &str = "msteams";

/// The kind of these resources.
pub const KIND: &str = "access_monitoring_rule";

/// What a rule has to look at to concern us.
pub const SUBJECT: &str = "access_request";

/// One rule as it is written. Whether it can be understood is another matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub name: String,
    pub subjects: Vec<String>,
    pub condition: String,
    /// The plugin that is to notify; empty if the rule does not notify.
    pub plugin: String,
    pub recipients: Vec<String>,
    /// No schedule means always.
    pub schedules: BTreeMap<String, Schedule>,
}

impl Rule {
    /// Returns whom the rule names; an empty text names nobody.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.recipients
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// Tells whether a plugin of this name acts on the rule.
    pub fn belongs_to(&self, plugin: &str) -> bool {
        self.plugin == plugin && self.subjects.iter().any(|subject| subject == SUBJECT)
    }
}
