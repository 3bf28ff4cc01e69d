//! The managers of users.

use serde_json::json;

use crate::tenant::call::{Asked, Reply};
use crate::tenant::state::World;
use crate::tenant::{Tenant, User};

/// Answers with the selected fields of a user's manager.
pub(super) fn answer(world: &mut World, asked: &Asked, key: &str) -> Reply {
    let manager = world.account(key).and_then(|account| account.manager.clone());
    let manager = manager.and_then(|id| world.account(&id));
    let Some(manager) = manager else {
        let message =
            "Resource 'manager' does not exist or one of its queried reference-property objects are not present.";
        return Reply::error(404, "Request_ResourceNotFound", message);
    };
    let mut found = json!({
        "@odata.type": "#microsoft.graph.user",
        "id": manager.user.id,
        "accountEnabled": !manager.disabled,
        "userType": if manager.user.is_guest { "Guest" } else { "Member" },
    });
    let fields = asked.query("$select").unwrap_or("id");
    if let Some(all) = found.as_object_mut() {
        all.retain(|name, _| name.starts_with('@') || fields.split(',').any(|field| field == name));
    }
    Reply::ok(200, found)
}

impl Tenant {
    /// Sets the manager of a user.
    pub fn set_manager(&self, user: &User, manager: &User) {
        self.change(|world| {
            if let Some(account) = world.account(&user.id) {
                account.manager = Some(manager.id.clone());
            }
        });
    }

    /// Disables the account of a user.
    pub fn disable(&self, user: &User) {
        self.change(|world| {
            if let Some(account) = world.account(&user.id) {
                account.disabled = true;
            }
        });
    }
}
