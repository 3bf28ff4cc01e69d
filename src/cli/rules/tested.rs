//! The result of each rule for one request, as text.

use crate::cli::output::say;
use crate::domain::rules::{CompiledRule, PLUGIN, RuleAnswer, Subject};
use crate::visible;

/// A rule and its result.
pub(in crate::cli) struct Tested<'a> {
    pub(super) rule: &'a CompiledRule,
    pub(super) answer: RuleAnswer,
}

impl<'a> Tested<'a> {
    /// Evaluates a rule. An error of the rule is reported even outside its schedules.
    pub(in crate::cli) fn new(rule: &'a CompiledRule, subject: &Subject) -> Self {
        let answer = match rule.broken() {
            Some(error) => RuleAnswer::Failed(error.into()),
            None => rule.answer(subject),
        };
        Self { rule, answer }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.rule.rule().belongs_to(PLUGIN)
    }

    /// Returns why the rule notifies no one; `None` if it matches.
    pub(super) fn reason(&self, subject: &Subject) -> Option<String> {
        if self.is_ours() {
            return self.rule.why_not(subject, &self.answer);
        }
        let rule = self.rule.rule();
        Some(format!("notifies {:?} about {}", rule.plugin, rule.subjects.join(", ")))
    }

    pub(super) fn matches(&self) -> bool {
        self.is_ours() && self.answer == RuleAnswer::Matches
    }
}

/// Prints one line for each rule: whether it matches, and which recipients it names or why it does not match.
pub(in crate::cli) fn print(tested: &[Tested<'_>], subject: &Subject) {
    let names = tested.iter().map(|tested| tested.rule.rule().name.chars().count());
    let wide = names.max().unwrap_or_default();
    for each in tested {
        let rule = each.rule.rule();
        let word = match each.answer {
            _ if !each.is_ours() => "other",
            RuleAnswer::Matches => "matches",
            RuleAnswer::Failed(_) => "fails",
            _ => "no match",
        };
        let notifies = || format!("notifies {}", rule.recipients.join(", "));
        let why = each.reason(subject).unwrap_or_else(notifies);
        let name = &rule.name;
        say!("  {word:8}  {name:wide$}  {}", visible::line(&why));
    }
}
