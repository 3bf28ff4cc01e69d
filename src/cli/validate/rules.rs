//! Checks the Access Monitoring Rules of the cluster and their recipients.

use crate::cli::validate::results::{CheckResults, counted};
use crate::clock;
use crate::domain::recipients::{Address, Recipients};
use crate::domain::rules::{CompiledRule, PLUGIN};
use crate::teleport::{Client, Meaning};

const CHECK: &str = "Access Monitoring Rules";

/// Checks this plugin's rules, and returns their recipients. `granted` says whether the role can watch rules.
pub(super) async fn rules(client: &Client, granted: bool, results: &mut CheckResults) -> Vec<Address> {
    let rules = match client.list_rules(PLUGIN).await {
        Ok(rules) => rules,
        Err(error) if error.meaning() == Meaning::Unsupported => {
            results.skipped(CHECK, "the cluster does not support them");
            return Vec::new();
        }
        Err(error) => {
            let hint =
                hint!("Grant the role list and read on access_monitoring_rule; until then, role_to_recipients applies");
            results.warning(CHECK, error.to_string(), error.hint().or(Some(hint)));
            return Vec::new();
        }
    };
    if rules.is_empty() && !granted {
        results.skipped(CHECK, "cannot be read without the permission to watch them");
        return Vec::new();
    }
    results.ok(CHECK, format!("{} for {PLUGIN}", counted(rules.len(), "rule")));
    let mut addresses = Vec::new();
    for rule in rules {
        let rule = CompiledRule::new(rule, &clock::zone);
        let name = &rule.rule().name;
        if let Some(error) = rule.broken() {
            let hint = hint!("Run `teleport-msteams rules check` and fix the rule; until then, it notifies no one");
            results.warning(CHECK, format!("{name} is invalid: {error}"), Some(hint));
        }
        for recipient in rule.unreachable() {
            let hint = hint!("Use an email address, a user ID or the link of a channel");
            results.warning(
                CHECK,
                format!("{name} names {recipient:?}, which is not a valid recipient"),
                Some(hint),
            );
        }
        addresses.extend(Recipients::of(rule.rule().named()).addresses);
    }
    addresses
}
