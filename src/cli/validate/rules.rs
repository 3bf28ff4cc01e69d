//! Checks the Access Monitoring Rules of the cluster and their recipients.

use crate::cli::validate::results::{CheckResults, counted};
use crate::clock;
use crate::config::VALID_RECIPIENTS;
use crate::daemon::{FIX_RULE, GRANT_RULES};
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
            results.warning(CHECK, error.to_string(), error.hint().or(Some(GRANT_RULES)));
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
            results.warning(CHECK, format!("{name} is invalid: {error}"), Some(FIX_RULE));
        }
        for recipient in rule.unreachable() {
            results.warning(
                CHECK,
                format!("{name} names {recipient:?}, which is not a valid recipient"),
                Some(VALID_RECIPIENTS),
            );
        }
        addresses.extend(Recipients::of(rule.rule().named()).addresses);
    }
    addresses
}
