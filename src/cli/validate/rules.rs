//! The Access Monitoring Rules of the cluster, and whom they name.

use crate::cli::validate::results::CheckResults;
use crate::clock;
use crate::domain::recipients::{Address, Recipients};
use crate::domain::rules::{CompiledRule, PLUGIN};
use crate::teleport::{Client, Meaning};

const CHECK: &str = "access monitoring rules";

/// Checks the rules that are addressed to us, and returns their recipients. `granted` tells whether they can be watched.
pub(super) async fn rules(client: &Client, granted: bool, results: &mut CheckResults) -> Vec<Address> {
    let rules = match client.list_rules(PLUGIN).await {
        Ok(rules) => rules,
        Err(error) if error.meaning() == Meaning::Unsupported => {
            results.skipped(CHECK, "this cluster has none");
            return Vec::new();
        }
        Err(error) => {
            let hint = "add list and read on access_monitoring_rule to the role; until then role_to_recipients routes";
            results.warning(CHECK, error.to_string(), error.hint().or(Some(hint)));
            return Vec::new();
        }
    };
    if rules.is_empty() && !granted {
        results.skipped(CHECK, "none is visible without the permission to watch them");
        return Vec::new();
    }
    results.ok(CHECK, format!("{} rules for {PLUGIN}", rules.len()));
    let mut addresses = Vec::new();
    for rule in rules {
        let rule = CompiledRule::new(rule, &clock::zone);
        let name = &rule.rule().name;
        if let Some(error) = rule.broken() {
            let hint = "see teleport-msteams rules check; the rule tells nobody until it is mended";
            results.warning(CHECK, format!("{name} cannot be understood: {error}"), Some(hint));
        }
        for recipient in rule.unreachable() {
            let hint = "write a mail address, a user id or the link of a channel";
            results.warning(
                CHECK,
                format!("{name} names {recipient:?}, which cannot be anybody"),
                Some(hint),
            );
        }
        addresses.extend(Recipients::of(rule.rule().named()).addresses);
    }
    addresses
}
