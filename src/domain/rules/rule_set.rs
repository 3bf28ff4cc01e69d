//! The current rules, and the route that they choose for a request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::recipients::{Address, Recipients, RoutingTable};
use crate::domain::request::AccessRequest;
use crate::domain::rules::compiled::CompiledRule;

/// Rules by name, in alphabetical order.
#[derive(Clone, Debug, Default)]
pub struct RuleSet(BTreeMap<String, Arc<CompiledRule>>);

/// The recipients of a request, and their source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub recipients: Recipients,
    pub source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// At least one matching rule names a recipient.
    Rules,
    /// The routing table and the suggested reviewers.
    Static,
    /// There are no recipients.
    None,
}

impl RuleSet {
    /// Adds a rule, or replaces the rule with its name.
    pub fn put(&mut self, rule: Arc<CompiledRule>) {
        self.0.insert(rule.rule().name.clone(), rule);
    }

    /// Removes a rule. Returns whether it existed.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    pub fn get(&self, name: &str) -> Option<&Arc<CompiledRule>> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<CompiledRule>> {
        self.0.values()
    }

    /// Adds or replaces several rules.
    pub fn extend(&mut self, rules: impl IntoIterator<Item = Arc<CompiledRule>>) {
        rules.into_iter().for_each(|rule| self.put(rule));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn uses_labels(&self) -> bool {
        self.iter().any(|rule| rule.uses_labels())
    }

    pub fn uses_traits(&self) -> bool {
        self.iter().any(|rule| rule.uses_traits())
    }
}

impl Route {
    /// Chooses the recipients of a request.
    ///
    /// If matching rules name recipients, only those are notified, not the table or the suggested reviewers, even if none of
    /// the recipients exists. An empty text is not a recipient.
    pub fn new<'a>(
        matching: impl IntoIterator<Item = &'a CompiledRule>,
        table: &RoutingTable,
        request: &AccessRequest,
    ) -> Self {
        let named = matching.into_iter().flat_map(|rule| rule.rule().named());
        let mut seen = BTreeSet::new();
        let named: Vec<&str> = named.filter(|text| seen.insert(*text)).collect();
        if !named.is_empty() {
            return Self {
                recipients: Recipients::of(named),
                source: Source::Rules,
            };
        }
        let recipients = table.recipients(request);
        let source = if recipients.addresses.is_empty() {
            Source::None
        } else {
            Source::Static
        };
        Self { recipients, source }
    }

    /// Returns the recipients that rules named, as written; empty if the source is not [`Source::Rules`].
    pub fn named(&self) -> Vec<&str> {
        if self.source != Source::Rules {
            return Vec::new();
        }
        let addresses = self.recipients.addresses.iter().map(Address::as_str);
        addresses
            .chain(self.recipients.unreachable.iter().map(String::as_str))
            .collect()
    }
}

impl Source {
    /// Returns the identifier for JSON and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Static => "static",
            Self::None => "none",
        }
    }
}
