//! The members of groups in the organization's directory.
//!
//! Architecture Invariant: limited in number. Only people count: the devices, contacts and groups in a group are omitted, and
//! the members of a group in it are included.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::recipients::Address;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::graph::{Graph, no_key};

/// The people in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// By object ID, and sorted by it: the order of Graph is not documented.
    pub people: Vec<Address>,
    /// Whether the group has more people, who are omitted.
    pub is_cut: bool,
}

impl Members {
    /// The greatest number of people.
    pub const MOST: usize = 500;

    fn of(people: BTreeMap<String, Address>) -> Self {
        Self {
            is_cut: people.len() > Self::MOST,
            people: people.into_values().take(Self::MOST).collect(),
        }
    }
}

/// A page has up to 999 members. Further pages may contain only devices; those of a very large group are omitted.
const MOST_PAGES: usize = 16;

/// Without the permission to read users, Graph omits `accountEnabled`.
const FIELDS: &str = "$select=id,accountEnabled&$top=999";

/// The type of a user. Graph returns the type and the ID of objects that the app may not read, too.
const USER: &str = "#microsoft.graph.user";

#[derive(Deserialize)]
struct Page {
    value: Vec<Member>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    #[serde(rename = "@odata.type", default)]
    kind: Option<String>,
    id: String,
    #[serde(default)]
    account_enabled: Option<bool>,
}

impl Graph {
    /// Lists the people in a group and in the groups in it, except those whose account is disabled.
    ///
    /// Source: `group-list-transitivemembers.md` in microsoft-graph-docs-contrib.
    pub(crate) async fn members(&self, group: &str, priority: &Priority) -> Result<Members, Error> {
        let odd = |detail| Error::new(Operation::ListMembers, Meaning::Protocol, Retry::Later(None)).detail(detail);
        let path = ["v1.0", "groups", group, "transitiveMembers"];
        let mut url = self.service().url(&path, Some(FIELDS));
        // Of a group with more people, those with the lowest IDs are notified, so all pages are read.
        let mut people = BTreeMap::new();
        for _ in 0..MOST_PAGES {
            let page: Page = self.get(Operation::ListMembers, url, &no_key(), priority).await?;
            let users = page.value.into_iter().filter(Member::is_active_user);
            let ids = users.filter_map(|user| Address::parse(&user.id).ok());
            let ids = ids.filter(|address| address.is_person() && !address.is_email());
            people.extend(ids.map(|address| (address.as_str().to_lowercase(), address)));
            let Some(next) = page.next else {
                return Ok(Members::of(people));
            };
            // The token must not go to another host.
            let next = self.service().own_url(&next);
            url = next.ok_or_else(|| odd("the next page is on another host"))?;
        }
        if people.len() > Members::MOST {
            return Ok(Members::of(people));
        }
        Err(odd("the list does not end"))
    }
}

impl Member {
    fn is_active_user(&self) -> bool {
        self.kind.as_deref() == Some(USER) && self.account_enabled != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_graph_decides_nothing() {
        let id = |number: usize| format!("A36aec2e-f11c-4219-b79a-{number:012}");
        let listed = |numbers: &mut dyn Iterator<Item = usize>| {
            let people = numbers.map(|number| (id(number).to_lowercase(), Address::parse(&id(number)).unwrap()));
            Members::of(people.collect())
        };
        let most = Members::MOST;
        let members = listed(&mut (0..most + 3).rev());
        assert!(members.is_cut);
        assert_eq!(members, listed(&mut (0..most + 3)));
        assert_eq!(members.people.last().map(Address::as_str), Some(id(most - 1).as_str()));
        assert!(!listed(&mut (0..most)).is_cut);
    }
}
