//! Groups of the directory, and their members.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::tenant::call::{Asked, Reply};
use crate::tenant::state::{Group, World};
use crate::tenant::users::shows_all;
use crate::tenant::{Tenant, User};

/// Lists the members of a group and of the groups in it, page by page. As in Graph, the members are users and other objects.
pub(super) fn members(world: &mut World, asked: &Asked, id: &str) -> Reply {
    let Some(group) = world.groups.iter().find(|group| group.id == id) else {
        let message =
            format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present.");
        return Reply::error(404, "Request_ResourceNotFound", &message);
    };
    let device = json!({"@odata.type": "#microsoft.graph.device", "id": Uuid::new_v4().to_string()});
    let nested = json!({"@odata.type": "#microsoft.graph.group", "id": Uuid::new_v4().to_string()});
    let ids = group.members.clone();
    let mut all = vec![device, nested];
    let shows_all = shows_all(world);
    for id in ids {
        let mut user = json!({"@odata.type": "#microsoft.graph.user", "id": id});
        if shows_all {
            let is_enabled = world.account(&id).is_some_and(|account| !account.disabled);
            user["accountEnabled"] = json!(is_enabled);
        }
        all.push(user);
    }
    let number = |name: &str| asked.query(name).and_then(|text| text.parse::<usize>().ok());
    let longest = Some(world.faults.longest_page).filter(|longest| *longest > 0);
    let page = number("$top").unwrap_or(100).min(longest.unwrap_or(999));
    let first = number("$skiptoken").unwrap_or_default();
    let rest: Vec<Value> = all.iter().skip(first).take(page).cloned().collect();
    let mut answer = json!({ "value": rest });
    let next = first + page;
    if next < all.len() {
        let url = format!(
            "{}/graph/v1.0/groups/{id}/transitiveMembers?$top={page}&$skiptoken={next}",
            world.base
        );
        answer["@odata.nextLink"] = json!(url);
    }
    Reply::ok(200, answer)
}

impl Tenant {
    /// Adds a group with these members, and returns its object ID.
    pub fn add_group(&self, members: &[&User]) -> String {
        let id = Uuid::new_v4().to_string();
        let members = members.iter().map(|user| user.id.clone()).collect();
        self.change(|world| {
            world.groups.push(Group {
                id: id.clone(),
                members,
            });
        });
        id
    }

    /// Deletes a group.
    pub fn delete_group(&self, group: &str) {
        self.change(|world| world.groups.retain(|known| known.id != group));
    }

    /// Adds a user to a group.
    pub fn add_member(&self, group: &str, user: &User) {
        self.change(|world| {
            for known in world.groups.iter_mut().filter(|known| known.id == group) {
                known.members.push(user.id.clone());
            }
        });
    }
}
