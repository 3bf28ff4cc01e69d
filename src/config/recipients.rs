//! The `[role_to_recipients]` table: who is notified of requests for which role.

use std::collections::BTreeMap;

use toml::{Table, Value};
use url::Url;

use crate::config::file::{Notes, Section};
use crate::config::shown::{described, quoted};
use crate::domain::recipients::{Address, RoutingTable};

/// The recipient that `configure` writes, and that set-up scripts for the Go plugin replace.
const PLACEHOLDER: &str = "foo@example.com";

pub(super) fn routing(mut section: Section<'_>, table: &Table, notes: &mut Notes) -> Option<RoutingTable> {
    let others = section.value("*");
    let name = "role_to_recipients";
    let Some(Value::Table(entries)) = table.get(name) else {
        if table.get(name).is_none() {
            notes.problem(name, "is missing", "write [role_to_recipients] with an entry \"*\"");
        }
        return None;
    };
    if others.is_none() {
        let hint = "say who hears of roles without an entry of their own, or \"*\" = [] for nobody";
        notes.problem(format!("{name}.\"*\""), "is missing", hint);
    }
    let mut roles = BTreeMap::new();
    for (role, value) in entries {
        let key = format!("{name}.{role:?}");
        if let Some(addresses) = addresses(&key, value, notes) {
            roles.insert(role.clone(), addresses);
        }
    }
    let others = roles.remove("*")?;
    if others.is_empty() {
        let message = "nobody hears of requests for roles without an entry of their own, but suggested reviewers";
        notes.warning(
            format!("{name}.\"*\""),
            message,
            "list recipients there if that is not meant",
        );
    }
    Some(RoutingTable::new(roles, others))
}

/// Reads a string or a list of strings. Recipients that cannot be anybody are warned of and left out: the Go plugin
/// accepts them, so a file that worked goes on working for the others.
fn addresses(key: &str, value: &Value, notes: &mut Notes) -> Option<Vec<Address>> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut addresses = Vec::new();
    for value in values {
        let Value::String(text) = value else {
            let message = format!("expected recipients, got {}", described(value));
            notes.problem(key, message, "write a string or a list of strings");
            return None;
        };
        if text.trim().is_empty() {
            continue;
        }
        match Address::parse(text) {
            Ok(address) => {
                if address.as_str() == PLACEHOLDER {
                    let hint = "write the mail address of a reviewer, or \"*\" = [] to notify only suggested reviewers";
                    notes.warning(key, format!("still has the placeholder value {PLACEHOLDER}"), hint);
                }
                addresses.push(address);
            }
            Err(reason) => {
                let hint = "write a mail address, a user id or the link of a channel";
                notes.warning(key, format!("nobody can be told at {}: {reason}", quoted(text)), hint);
            }
        }
    }
    Some(addresses)
}

/// Warns of each link whose `tenantId` is not ours: the app of one tenant cannot post in another.
pub(super) fn foreign(routing: &RoutingTable, tenant: &str, notes: &mut Notes) {
    // A tenant may also be written as a domain, which cannot be compared.
    if uuid::Uuid::try_parse(tenant).is_err() {
        return;
    }
    for address in routing.addresses().iter().filter(|address| address.channel().is_some()) {
        let Ok(link) = Url::parse(address.as_str()) else {
            continue;
        };
        let named = link.query_pairs().find(|(key, _)| key == "tenantId");
        if let Some((_, other)) = named.filter(|(_, id)| !id.is_empty() && !id.eq_ignore_ascii_case(tenant)) {
            let message = format!("{} is a channel of the tenant {other:?}", address.as_str());
            let hint = "copy the link of a channel of [msapi] tenant_id";
            notes.warning("role_to_recipients", message, hint);
        }
    }
}
