//! The table of recipients by role.

use std::collections::{BTreeMap, HashSet};

use crate::domain::recipients::suggested::reviewers;
use crate::domain::recipients::{Address, Reason, SuggestedReviewers};
use crate::domain::request::AccessRequest;

/// `role_to_recipients`: role names are literal, and `"*"` applies to every role without its own entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingTable {
    roles: BTreeMap<String, Vec<Address>>,
    others: Vec<Address>,
}

/// The recipients of a request, and the named recipients that are not valid addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Without duplicates: first those of the table in order, then the suggested reviewers.
    pub addresses: Vec<Address>,
    /// Invalid recipients as written: suggested reviewers without an email address, and invalid recipients of rules.
    pub unreachable: Vec<String>,
}

impl Recipients {
    /// Parses each text as an address.
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

    /// Returns the recipients of the roles of a request.
    pub fn of_roles(&self, request: &AccessRequest) -> Vec<Address> {
        self.find(request).addresses
    }

    fn find(&self, request: &AccessRequest) -> Found {
        let mut found = Found::default();
        for role in &request.roles {
            // An empty entry counts as no entry.
            let entry = self.roles.get(role).filter(|entry| !entry.is_empty());
            for address in entry.unwrap_or(&self.others) {
                found.add(address.clone());
            }
        }
        found
    }

    /// Returns the recipients of a request: those of its roles, and the suggested reviewers with an address.
    pub fn recipients(&self, request: &AccessRequest, suggested: &SuggestedReviewers) -> Recipients {
        let mut found = self.find(request);
        let mut unreachable = Vec::new();
        for reviewer in reviewers(request) {
            match suggested.address(reviewer) {
                Some(address) => found.add(address),
                None => unreachable.push(reviewer.to_owned()),
            }
        }
        Recipients {
            addresses: found.addresses,
            unreachable,
        }
    }

    /// Returns where the table names a recipient of a request. Invalid addresses are not in the table and do not count in
    /// positions.
    pub fn place(&self, request: &AccessRequest, address: &Address) -> Option<Reason> {
        request
            .roles
            .iter()
            .find_map(|role| match self.roles.get(role).filter(|entry| !entry.is_empty()) {
                Some(entry) => of_role(role, entry, address),
                None => self.of_other_roles(address),
            })
    }

    /// Returns the first place of an address in the table, whatever request it is for, as [`place`](Self::place) does.
    pub fn place_of(&self, address: &Address) -> Option<Reason> {
        let mut roles = self.roles.iter();
        roles
            .find_map(|(role, entry)| of_role(role, entry, address))
            .or_else(|| self.of_other_roles(address))
    }

    fn of_other_roles(&self, address: &Address) -> Option<Reason> {
        let position = self.others.iter().position(|other| other == address)?;
        Some(Reason::OtherRoles { position })
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

fn of_role(role: &str, entry: &[Address], address: &Address) -> Option<Reason> {
    let position = entry.iter().position(|other| other == address)?;
    let role = role.to_owned();
    Some(Reason::Role { role, position })
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
