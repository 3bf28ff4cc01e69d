//! The application permissions of Microsoft Graph that the program needs, and their purposes.
//!
//! Architecture Invariant: the only table of permissions; hints, `validate` and the documentation use it.

use crate::config::GraphInstallations;
use crate::msteams::error::Operation;

/// A purpose, the least permission that allows it, and broader ones.
#[derive(Debug)]
pub struct Permission {
    /// Completes "it is needed to …".
    pub purpose: &'static str,
    pub least: &'static str,
    pub broader: &'static [&'static str],
    /// Only needed if channels are recipients.
    pub for_channels: bool,
    operations: &'static [Operation],
}

/// An optional permission: requesters are recognized under their aliases, too.
pub const FIND_BY_ALIAS: Permission = Permission {
    purpose: "find users by alias",
    least: "User.Read.All",
    broader: &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
    for_channels: false,
    operations: &[],
};

/// Only needed if managers are notified of escalated requests.
pub const FIND_MANAGER: Permission = Permission {
    purpose: "find the managers of recipients",
    least: "User.Read.All",
    broader: &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
    for_channels: false,
    operations: &[Operation::FindManager],
};

/// Only needed if a recipient is a channel by name.
pub const FIND_BY_NAME: [Permission; 2] = [
    Permission {
        purpose: "find teams by name",
        least: "Team.ReadBasic.All",
        broader: &["TeamSettings.Read.All", "TeamSettings.ReadWrite.All"],
        for_channels: false,
        operations: &[Operation::FindTeam],
    },
    Permission {
        purpose: "find channels by name",
        least: "Channel.ReadBasic.All",
        broader: &["ChannelSettings.Read.All", "ChannelSettings.ReadWrite.All"],
        for_channels: false,
        operations: &[Operation::FindChannel],
    },
];

/// Only needed if channels are recipients and the app is upgraded.
pub const UPGRADE_IN_TEAMS: Permission = Permission {
    purpose: "upgrade the app in teams",
    least: "TeamsAppInstallation.ReadWriteSelfForTeam.All",
    broader: &["TeamsAppInstallation.ReadWriteForTeam.All"],
    for_channels: true,
    operations: &[Operation::UpgradeInTeam],
};

/// Only needed if a recipient is a group.
pub const LIST_MEMBERS: Permission = Permission {
    purpose: "list the members of groups",
    least: "GroupMember.Read.All",
    broader: &[
        "Group.Read.All",
        "GroupMember.ReadWrite.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ],
    for_channels: false,
    operations: &[Operation::ListMembers],
};

/// Only needed if the delegates of recipients who are out of office are notified. Graph of the cloud in China has no presence.
///
/// Source: `api-reference/v1.0/api/cloudcommunications-getpresencesbyuserid.md` in microsoft-graph-docs-contrib, with its table
/// in `includes/permissions`.
pub const READ_PRESENCE: Permission = Permission {
    purpose: "find recipients who are out of office",
    least: "Presence.Read.All",
    broader: &["Presence.ReadWrite.All"],
    for_channels: false,
    operations: &[Operation::FindPresence],
};

/// An optional permission: groups that hide their members are recipients, too.
pub const LIST_HIDDEN_MEMBERS: Permission = Permission {
    purpose: "list hidden members of groups",
    least: "Member.Read.Hidden",
    broader: &[],
    for_channels: false,
    operations: &[],
};

/// Sources: Graph's reference of each call, and `permissions.json` of its explorer (August 2026).
pub const PERMISSIONS: [Permission; 4] = [
    Permission {
        purpose: "find the app in the catalog",
        least: "AppCatalog.Read.All",
        broader: &["AppCatalog.ReadWrite.All"],
        for_channels: false,
        operations: &[Operation::FindApp],
    },
    Permission {
        purpose: "look up users",
        least: "User.ReadBasic.All",
        broader: &[
            "User.Read.All",
            "User.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
        for_channels: false,
        operations: &[Operation::FindUser],
    },
    Permission {
        purpose: "install the app for users",
        least: "TeamsAppInstallation.ReadWriteSelfForUser.All",
        broader: &["TeamsAppInstallation.ReadWriteForUser.All"],
        for_channels: false,
        operations: &[
            Operation::FindInstallation,
            Operation::Install,
            Operation::Uninstall,
            Operation::Upgrade,
            Operation::FindChat,
        ],
    },
    Permission {
        purpose: "check whether a team has the app",
        least: "TeamsAppInstallation.ReadWriteSelfForTeam.All",
        broader: &[
            "TeamsAppInstallation.ReadForTeam.All",
            "TeamsAppInstallation.ReadWriteForTeam.All",
        ],
        for_channels: true,
        operations: &[Operation::FindInTeam],
    },
];

impl Permission {
    /// Returns the permission for an operation; sending cards needs none.
    pub(crate) fn of(operation: Operation) -> Option<&'static Self> {
        let optional = [&FIND_MANAGER, &LIST_MEMBERS, &READ_PRESENCE, &UPGRADE_IN_TEAMS];
        let optional = optional.into_iter().chain(&FIND_BY_NAME);
        let mut all = PERMISSIONS.iter().chain(optional);
        all.find(|permission| permission.operations.contains(&operation))
    }

    /// Returns whether Graph of a cloud can do what the permission allows.
    pub fn has_use(&self, installations: GraphInstallations) -> bool {
        let allows = |operation| self.operations.contains(&operation);
        (installations.of_people() || !allows(Operation::Install))
            && (installations.of_teams() || !(allows(Operation::FindInTeam) || allows(Operation::UpgradeInTeam)))
    }

    /// Returns whether a permission of this name allows it.
    pub fn serves(&self, name: &str) -> bool {
        name == self.least || self.broader.contains(&name)
    }
}
