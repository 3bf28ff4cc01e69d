//! What somebody can do about a failure.
//!
//! Architecture Invariant: a hint names what to change (a permission, a key of the configuration, a place in Teams); it never
//! repeats what failed.

use crate::msteams::envelope::Envelope;
use crate::msteams::error::{Meaning, Operation};

/// Returns the remedy for a failed call of Graph or the connector.
pub(crate) fn hint(operation: Operation, meaning: Meaning, envelope: &Envelope) -> Option<String> {
    if envelope.is("BotDisabledByAdmin") {
        return Some("let an administrator allow the app in the Teams admin center, Manage apps".to_owned());
    }
    if envelope.is("InvalidBotApiHost") {
        return Some("the tenant is in another cloud: set `[msapi] cloud` to it, for example \"gcc\"".to_owned());
    }
    match (operation, meaning) {
        (Operation::Post | Operation::Update, Meaning::Credentials) => Some(
            "create an Azure Bot resource for `[msapi] app_id` in the tenant and add the Microsoft Teams channel to it"
                .to_owned(),
        ),
        (_, Meaning::Credentials) => {
            Some("check that `[msapi] tenant_id` and `[msapi] cloud` belong to the same organisation".to_owned())
        }
        (operation, Meaning::Denied) => permission(operation).map(|permission| {
            format!("grant the app registration the application permission {permission}, with admin consent")
        }),
        (Operation::FindInTeam, Meaning::NotFound) => {
            Some("check the groupId in the channel link; the team may be deleted".to_owned())
        }
        (_, Meaning::AppNotInCatalog) => Some(
            "upload app.zip to the organisation's app catalog (Teams admin center, Manage apps), and check `[msapi] \
             teams_app_id`"
                .to_owned(),
        ),
        (_, Meaning::AppNotInTeam) => Some("add the app to the team: Manage team, Apps".to_owned()),
        (Operation::FindApp, Meaning::Ambiguous) => {
            Some("remove the copies of the app from the organisation's app catalog, but one".to_owned())
        }
        (Operation::FindUser, Meaning::Ambiguous) => {
            Some("name the user by user id instead of by mail address".to_owned())
        }
        (Operation::FindUser, Meaning::NotFound) => Some("check the spelling, or name the user by user id".to_owned()),
        (_, Meaning::BotNotInstalled) => Some("add the app to the team or chat again".to_owned()),
        (_, Meaning::Blocked) => Some("only the user can unblock the app, in Teams".to_owned()),
        _ => None,
    }
}

/// Returns the least application permission that allows the operation.
fn permission(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::FindApp => Some("AppCatalog.Read.All"),
        Operation::FindUser => Some("User.ReadBasic.All"),
        Operation::FindInstallation | Operation::Install | Operation::Uninstall | Operation::FindChat => {
            Some("TeamsAppInstallation.ReadWriteSelfForUser.All")
        }
        Operation::FindInTeam => Some("TeamsAppInstallation.ReadForTeam.All"),
        Operation::Prepare | Operation::GraphToken | Operation::BotToken | Operation::Post | Operation::Update => None,
    }
}
