//! The table that says who hears of which role.

use std::collections::{BTreeMap, HashSet};

use crate::domain::recipients::Address;
use crate::domain::request::AccessRequest;

/// `role_to_recipients`: role names are literal, and `"*"` serves every role without an entry of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingTable {
    roles: BTreeMap<String, Vec<Address>>,
    others: Vec<Address>,
}

/// Whom a request goes to, and which suggested reviewers cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Each once, in the order of the table and then of the suggestions.
    pub addresses: Vec<Address>,
    /// Who is named and cannot be told, as written: suggested reviewers without a mail address, a rule's odd recipients.
    pub unreachable: Vec<String>,
}

impl Recipients {
    /// Reads texts of which each may be an address.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Found::default();
        let mut unreachable = Vec::new();
        for text in texts {
            match Address::parse(text) {
                Ok(address) => found.add(address),
                Err(_) => unreachable.push(text.to_owned()),
            }
        }
        Self {
            addresses: found.addresses,
            unreachable,
        }
    }
}

impl RoutingTable {
    pub fn new(roles: BTreeMap<String, Vec<Address>>, others: Vec<Address>) -> Self {
        Self { roles, others }
    }

    /// Returns the recipients of a request: those of its roles, and the suggested reviewers with a mail address.
    pub fn recipients(&self, request: &AccessRequest) -> Recipients {
        let mut found = Found::default();
        for role in &request.roles {
            // An empty entry is none.
            let entry = self.roles.get(role).filter(|entry| !entry.is_empty());
            for address in entry.unwrap_or(&self.others) {
                found.add(address.clone());
            }
        }
        let mut unreachable = Vec::new();
        for reviewer in &request.suggested_reviewers {
            match Address::parse(reviewer) {
                Ok(address) if address.is_email() => found.add(address),
                Ok(_) | Err(_) => unreachable.push(reviewer.clone()),
            }
        }
        Recipients {
            addresses: found.addresses,
            unreachable,
        }
    }

    /// Returns where a recipient of a request stands in the table, as in `role_to_recipients.dba[0]`. Entries that are not
    /// addresses are not in the table and do not count.
    pub fn place(&self, request: &AccessRequest, address: &Address) -> Option<String> {
        request
            .roles
            .iter()
            .find_map(|role| match self.roles.get(role).filter(|entry| !entry.is_empty()) {
                Some(entry) => place_in(role, entry, address),
                None => place_in(OTHERS, &self.others, address),
            })
    }

    /// Returns the first place of an address in the table, whatever request it is for, as [`place`](Self::place) does.
    pub fn place_of(&self, address: &Address) -> Option<String> {
        let mut roles = self.roles.iter();
        roles
            .find_map(|(role, entry)| place_in(role, entry, address))
            .or_else(|| place_in(OTHERS, &self.others, address))
    }

    /// Returns every address of the table, each once.
    pub fn addresses(&self) -> Vec<Address> {
        let mut found = Found::default();
        for address in self.roles.values().flatten().chain(&self.others) {
            found.add(address.clone());
        }
        found.addresses
    }
}

/// The key of the entry for all other roles, as the configuration writes it.
const OTHERS: &str = "\"*\"";

fn place_in(role: &str, entry: &[Address], address: &Address) -> Option<String> {
    let number = entry.iter().position(|other| other == address)?;
    Some(format!("role_to_recipients.{role}[{number}]"))
}

/// Addresses in the order in which they were first found.
#[derive(Default)]
struct Found {
    addresses: Vec<Address>,
    seen: HashSet<Address>,
}

impl Found {
    fn add(&mut self, address: Address) {
        if self.seen.insert(address.clone()) {
            self.addresses.push(address);
        }
    }
}
