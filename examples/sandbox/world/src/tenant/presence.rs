//! The presence of users, as far as it says that they are out of office.

use serde_json::{Value, json};

use crate::tenant::call::{Asked, Reply};
use crate::tenant::graph::list;
use crate::tenant::state::World;
use crate::tenant::{Tenant, User};

/// The documented number of users in one call.
const MOST: usize = 650;

/// Answers with the presence of the users with these object IDs; unknown ones are omitted.
pub(super) fn answer(world: &mut World, asked: &Asked) -> Reply {
    let ids = asked.json().and_then(|body| body["ids"].as_array().cloned());
    let Some(ids) = ids.filter(|ids| !ids.is_empty() && ids.len() <= MOST) else {
        return Reply::error(400, "BadRequest", "Invalid list of IDs");
    };
    let accounts = &world.accounts;
    let found = ids.iter().filter_map(Value::as_str).filter_map(|id| {
        let account = accounts.iter().find(|account| account.user.id == id)?;
        let message = account.out_of_office.as_deref();
        let is_out = message.is_some() && account.is_away;
        Some(json!({
            "@odata.type": "#microsoft.graph.presence",
            "id": id,
            "availability": "Offline",
            "activity": if is_out { "OutOfOffice" } else { "Away" },
            "outOfOfficeSettings": {"isOutOfOffice": is_out, "message": message},
        }))
    });
    list(found.collect())
}

impl Tenant {
    /// Sets the out-of-office message of a user, who is out of office from now on.
    pub fn set_out_of_office(&self, user: &User, message: &str) {
        self.change(|world| {
            if let Some(account) = world.account(&user.id) {
                account.out_of_office = Some(message.to_owned());
                account.is_away = true;
            }
        });
    }

    /// Sets the out-of-office message of a user who is not out of office yet.
    pub fn plan_out_of_office(&self, user: &User, message: &str) {
        self.change(|world| {
            if let Some(account) = world.account(&user.id) {
                account.out_of_office = Some(message.to_owned());
                account.is_away = false;
            }
        });
    }

    /// Ends the absence of a user.
    pub fn set_in_office(&self, user: &User) {
        self.change(|world| {
            if let Some(account) = world.account(&user.id) {
                account.out_of_office = None;
            }
        });
    }
}
