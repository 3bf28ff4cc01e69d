//! The users of the directory, by name and by filter.

use serde_json::{Value, json};

use crate::tenant::call::{Asked, Reply, filter};
use crate::tenant::graph::{SHOW_TYPE, list, unknown_user};
use crate::tenant::state::{Account, World};

/// Finds a user by id or principal name, and returns the selected fields.
pub(super) fn by_id(world: &mut World, asked: &Asked, key: &str) -> Reply {
    let shows = shows_all(world);
    match world.account(key) {
        Some(account) => Reply::ok(200, selected(account, asked, shows)),
        None => unknown_user(key),
    }
}

/// Finds users by a filter: conditions on names, joined by `or`.
pub(super) fn by_filter(world: &World, asked: &Asked) -> Reply {
    let Some(conditions) = asked.query("$filter").and_then(conditions) else {
        return Reply::error(400, "Request_BadRequest", "Invalid filter clause");
    };
    let shows = shows_all(world);
    if !shows
        && conditions
            .iter()
            .any(|condition| matches!(condition, Condition::Alias(_)))
    {
        let message = "Insufficient privileges to complete the operation.";
        return Reply::error(403, "Authorization_RequestDenied", message);
    }
    let matches = |account: &&Account| conditions.iter().any(|condition| condition.holds(account));
    let found = world.accounts.iter().filter(matches);
    list(found.map(|account| selected(account, asked, shows)).collect())
}

enum Condition {
    Mail(String),
    Name(String),
    Alias(String),
}

impl Condition {
    fn read(text: &str) -> Option<Self> {
        if let Some(alias) = text.strip_prefix("proxyAddresses/any(p:") {
            return filter(alias.strip_suffix(')')?, "p").map(Self::Alias);
        }
        let mail = filter(text, "mail").map(Self::Mail);
        mail.or_else(|| filter(text, "userPrincipalName").map(Self::Name))
    }

    fn holds(&self, account: &Account) -> bool {
        let same = |own: &str, wanted: &str| own.to_lowercase() == wanted.to_lowercase();
        let user = &account.user;
        match self {
            Self::Mail(mail) => user.mail.as_deref().is_some_and(|own| same(own, mail)),
            Self::Name(name) => same(&user.upn, name),
            Self::Alias(alias) => account.aliases.iter().any(|own| same(&format!("smtp:{own}"), alias)),
        }
    }
}

/// Splits a filter at `or`, outside of literals. `None` if a condition is none that Graph has for users.
fn conditions(text: &str) -> Option<Vec<Condition>> {
    let mut parts = vec![String::new()];
    let mut inside = false;
    for (at, c) in text.char_indices() {
        inside ^= c == '\'';
        let part = parts.last_mut()?;
        if !inside && text[at..].starts_with(" or ") {
            parts.push(String::new());
        } else {
            part.push(c);
        }
    }
    let read = |(number, part): (usize, &String)| {
        let part = if number == 0 { part } else { part.strip_prefix("or ")? };
        Condition::read(part)
    };
    parts.iter().enumerate().map(read).collect()
}

/// Returns whether the granted permissions show more than the basic properties.
pub(super) fn shows_all(world: &World) -> bool {
    world.options.roles.iter().any(|role| SHOW_TYPE.contains(role))
}

fn selected(account: &Account, asked: &Asked, shows_all: bool) -> Value {
    let user = &account.user;
    let mut found = json!({"id": user.id, "displayName": user.name, "mail": user.mail, "userPrincipalName": user.upn});
    let Some(fields) = asked.query("$select") else {
        return found;
    };
    // The basic permission does not show these.
    if shows_all {
        found["userType"] = json!(if user.is_guest { "Guest" } else { "Member" });
        found["accountEnabled"] = json!(!account.disabled);
    }
    if let Value::Object(all) = &mut found {
        all.retain(|name, _| fields.split(',').any(|field| field == name));
    }
    found
}
