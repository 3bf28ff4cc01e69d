//! The members of groups, which stand for the groups.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::domain::recipients::{Address, Recipients};

/// The members of groups, by the object ID of the group, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMembers(BTreeMap<String, Arc<[Address]>>);

impl GroupMembers {
    /// Records the members of a group.
    pub fn put(&mut self, group: &str, members: Arc<[Address]>) {
        self.0.insert(group.to_owned(), members);
    }

    /// Adds the members of other groups, or newer ones of the same groups.
    pub fn extend(&mut self, newer: &Self) {
        let newer = newer
            .0
            .iter()
            .map(|(group, members)| (group.clone(), Arc::clone(members)));
        self.0.extend(newer);
    }

    /// Returns the groups among addresses, each once.
    pub fn groups_in(addresses: &[Address]) -> Vec<String> {
        let mut groups: Vec<String> = addresses.iter().filter_map(Address::group).map(str::to_owned).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Replaces each group by its members, who are named once. A group whose members are unknown is omitted.
    pub fn expand(&self, addresses: Vec<Address>) -> Vec<Address> {
        if addresses.iter().all(|address| address.group().is_none()) {
            return addresses;
        }
        let members = |group: &str| self.0.get(group).map(|members| members.to_vec()).unwrap_or_default();
        let expanded = addresses.into_iter().flat_map(|address| match address.group() {
            Some(group) => members(group),
            None => vec![address],
        });
        let mut seen = HashSet::new();
        expanded.filter(|address| seen.insert(address.clone())).collect()
    }

    /// Replaces the groups among recipients.
    pub fn expand_in(&self, recipients: Recipients) -> Recipients {
        Recipients {
            addresses: self.expand(recipients.addresses),
            unreachable: recipients.unreachable,
        }
    }

    /// Returns the address itself, and then those of the groups with this member.
    pub fn names_of<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = Address> + 'a {
        let with_it = self.0.iter().filter(|(_, members)| members.contains(address));
        let groups = with_it.filter_map(|(group, _)| Address::parse(&format!("group:{group}")).ok());
        [address.clone()].into_iter().chain(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "a36aec2e-f11c-4219-b79a-19ffff57de70";

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| Address::parse(text).unwrap()).collect()
    }

    #[test]
    fn members_stand_for_their_group() {
        let group = format!("group:{}", GROUP.to_uppercase());
        let named = addresses(&[
            "bob@b.c",
            &group,
            "dan@b.c",
            "group:00000000-0000-4000-8000-000000000000",
        ]);
        assert_eq!(GroupMembers::groups_in(&named).len(), 2);
        let mut groups = GroupMembers::default();
        assert_eq!(groups.expand(named.clone()), addresses(&["bob@b.c", "dan@b.c"]));
        groups.put(GROUP, addresses(&["carol@b.c", "BOB@b.c"]).into());
        assert_eq!(groups.expand(named), addresses(&["bob@b.c", "carol@b.c", "dan@b.c"]));
        let carol = Address::parse("carol@b.c").unwrap();
        assert_eq!(
            groups.names_of(&carol).collect::<Vec<_>>(),
            addresses(&["carol@b.c", &group])
        );
    }
}
