//! The `[role_to_recipients]` table: which recipients are notified of requests for which role.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::config::file::{Notes, Section};
use crate::config::shown::{described, quoted};
use crate::domain::recipients::{Address, RoutingTable};

/// The hint for a text that is not a recipient.
pub const VALID_RECIPIENTS: &str = hint!(
    "Use an email address, a user ID, the link of a channel or a group chat, \"Team name/Channel name\", or group: and the object ID of a group"
);

/// The hint for a link of another tenant.
pub const OWN_TENANT: &str = hint!("Copy the link of a channel or a chat in the tenant `[msapi] tenant_id`");

/// The placeholder that `configure` writes, which set-up scripts for the Go plugin replace.
const PLACEHOLDER: &str = "foo@example.com";

pub(super) fn routing(mut section: Section<'_>, table: &Table, notes: &mut Notes) -> Option<RoutingTable> {
    let others = section.value("*");
    let name = "role_to_recipients";
    let Some(Value::Table(entries)) = table.get(name) else {
        if table.get(name).is_none() {
            notes.problem(
                name,
                "missing",
                hint!("Add the table [role_to_recipients] with the key \"*\""),
            );
        }
        return None;
    };
    if others.is_none() {
        let hint = hint!("Add \"*\" = [...] with the default recipients, or \"*\" = [] for none");
        notes.problem(format!("{name}.\"*\""), "missing", hint);
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
        let message = "requests for roles without their own entry notify only suggested reviewers";
        notes.warning(
            format!("{name}.\"*\""),
            message,
            hint!("Add recipients to \"*\" if that is not intended"),
        );
    }
    Some(RoutingTable::new(roles, others))
}

/// Reads a string or a list of strings. Invalid recipients cause a warning and are skipped: the Go plugin accepts them, and an
/// existing file must keep working for the other recipients.
pub(super) fn addresses(key: &str, value: &Value, notes: &mut Notes) -> Option<Vec<Address>> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut addresses = Vec::new();
    for value in values {
        let Value::String(text) = value else {
            let message = format!("expected recipients, got {}", described(value));
            notes.problem(key, message, hint!("Write a string or a list of strings"));
            return None;
        };
        if text.trim().is_empty() {
            continue;
        }
        match Address::parse(text) {
            Ok(address) => {
                if address.as_str() == PLACEHOLDER {
                    let hint = hint!(
                        "Replace it with the email address of a reviewer, or write \"*\" = [] to notify only suggested reviewers"
                    );
                    notes.warning(key, format!("still has the placeholder value {PLACEHOLDER}"), hint);
                }
                addresses.push(address);
            }
            Err(reason) => {
                notes.warning(
                    key,
                    format!("{} is not a valid recipient: {reason}", quoted(text)),
                    VALID_RECIPIENTS,
                );
            }
        }
    }
    Some(addresses)
}

/// Warns about each link of another tenant: the app cannot post there. `msteams` rejects it; the other recipients of the file
/// are notified, as by the Go plugin.
pub(super) fn foreign(key: &str, routing: &RoutingTable, tenant: &str, notes: &mut Notes) {
    for address in routing.addresses() {
        if let Some(other) = address.foreign_tenant(tenant) {
            let message = format!("{} belongs to another tenant, {other:?}", address.as_str());
            notes.warning(key, message, OWN_TENANT);
        }
    }
}
