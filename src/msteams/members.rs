//! The members of groups in the organization's directory.
//!
//! Architecture Invariant: limited in number. Only people count: the devices, contacts and groups in a group are omitted, and
//! the members of a group in it are included.

use serde::Deserialize;

use crate::domain::recipients::Address;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::graph::{Graph, no_key};

/// The people in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// By object ID.
    pub people: Vec<Address>,
    /// Whether the group has more people, who are omitted.
    pub is_cut: bool,
}

impl Members {
    /// The greatest number of people.
    pub const MOST: usize = 500;
}

/// A page has up to 999 members. Further pages may contain only devices.
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
        let mut people: Vec<Address> = Vec::new();
        for _ in 0..MOST_PAGES {
            let page: Page = self.get(Operation::ListMembers, url, &no_key(), priority).await?;
            let users = page.value.into_iter().filter(Member::is_active_user);
            let ids = users.filter_map(|user| Address::parse(&user.id).ok());
            people.extend(ids.filter(|address| address.is_person() && !address.is_email()));
            if people.len() > Members::MOST {
                people.truncate(Members::MOST);
                return Ok(Members { people, is_cut: true });
            }
            let Some(next) = page.next else {
                return Ok(Members { people, is_cut: false });
            };
            // The token must not go to another host.
            let next = self.service().own_url(&next);
            url = next.ok_or_else(|| odd("the next page is on another host"))?;
        }
        Err(odd("the list does not end"))
    }
}

impl Member {
    fn is_active_user(&self) -> bool {
        self.kind.as_deref() == Some(USER) && self.account_enabled != Some(false)
    }
}
