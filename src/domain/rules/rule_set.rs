//! The current rules, and the route that they choose for a request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::recipients::{Recipients, RoutingTable, SuggestedReviewers};
use crate::domain::request::AccessRequest;
use crate::domain::rules::compiled::{CompiledRule, RuleAnswer};
use crate::domain::rules::subject::Subject;

/// Rules by name, in alphabetical order.
#[derive(Clone, Debug, Default)]
pub struct RuleSet(BTreeMap<String, Arc<CompiledRule>>);

/// The recipients of a request, and their source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub recipients: Recipients,
    pub source: Source,
    /// The recipients that rules named, as written, with the first rule that named each; empty unless the source is
    /// [`Source::Rules`].
    pub named: Vec<(String, String)>,
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

    /// Evaluates every rule for a request.
    pub fn answers(&self, subject: &Subject) -> impl Iterator<Item = (&CompiledRule, RuleAnswer)> {
        self.iter().map(|rule| (&**rule, rule.answer(subject)))
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
        suggested: &SuggestedReviewers,
    ) -> Self {
        let rules = matching.into_iter().map(CompiledRule::rule);
        let named = rules.flat_map(|rule| rule.named().map(|recipient| (recipient, rule.name.as_str())));
        let mut seen = BTreeSet::new();
        let named: Vec<_> = named.filter(|(recipient, _)| seen.insert(*recipient)).collect();
        if !named.is_empty() {
            return Self {
                recipients: Recipients::of(named.iter().map(|(recipient, _)| *recipient)),
                source: Source::Rules,
                named: named
                    .into_iter()
                    .map(|(recipient, rule)| (recipient.to_owned(), rule.to_owned()))
                    .collect(),
            };
        }
        let recipients = table.recipients(request, suggested);
        let source = if recipients.addresses.is_empty() {
            Source::None
        } else {
            Source::Static
        };
        Self {
            recipients,
            source,
            named: Vec::new(),
        }
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
