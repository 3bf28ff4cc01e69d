//! The versions of installed apps.

use crate::tenant::{Tenant, User};

impl Tenant {
    /// Publishes another version of the app in the catalog. Installations keep theirs.
    pub fn publish(&self, version: &str) {
        self.change(|world| version.clone_into(&mut world.options.version));
    }

    /// Returns the version of the app of a user.
    pub fn version_of(&self, user: &User) -> String {
        let version = self.change_quietly(|world| world.account(&user.id).map(|account| account.version.clone()));
        version.unwrap_or_default()
    }

    /// Returns the version of the app in a team.
    pub fn version_in(&self, team: &str) -> String {
        let version = self.change_quietly(|world| {
            let team = world.teams.iter().find(|known| known.name == team);
            team.map(|team| team.version.clone())
        });
        version.unwrap_or_default()
    }
}
