//! Hints for failed calls of Graph and of the Bot connector.
//!
//! Architecture Invariant: a hint names what to change (a permission, a key of the configuration, a setting in Teams); it never
//! repeats what failed.

use crate::msteams::envelope::{Envelope, Says};
use crate::msteams::error::{Meaning, Operation};
use crate::msteams::permissions::Permission;

/// The hint for a code of the login service that this program does not know.
pub(crate) const LOGIN: &str = hint!(
    "Check `[msapi] app_id`, `[msapi] tenant_id` and the credential of the app, such as `[msapi] app_secret`; https://login.microsoftonline.com/error explains the code"
);

/// Returns the hint for a failed call.
pub(crate) fn hint(operation: Operation, meaning: Meaning, envelope: &Envelope) -> Option<String> {
    let text = match (operation, meaning) {
        _ if envelope.is("BotDisabledByAdmin") => {
            hint!("Ask an administrator to allow the app in the Teams admin center, Manage apps")
        }
        _ if envelope.is("InvalidBotApiHost") => {
            hint!("Set `[msapi] cloud` to the cloud of the tenant, for example \"gcc\"")
        }
        (Operation::OpenChat | Operation::Post | Operation::Update, Meaning::Credentials) => {
            hint!(
                "Create an Azure Bot resource for `[msapi] app_id` in the tenant and add the Microsoft Teams channel to it"
            )
        }
        (_, Meaning::Credentials) => {
            hint!("Check that `[msapi] tenant_id` and `[msapi] cloud` belong to the same organization")
        }
        (operation, Meaning::Denied) => return denied(operation, envelope),
        (Operation::FindInTeam, Meaning::NotFound) => {
            hint!("Check the groupId in the channel link; the team may have been deleted")
        }
        (Operation::Install | Operation::FindInstallation, Meaning::NotFound) => {
            hint!(
                "Check that the user has signed in to Teams at least once, and that the app is in the app catalog (Teams admin center, Manage apps)"
            )
        }
        (_, Meaning::AppNotInCatalog) => {
            hint!(
                "Upload app.zip to the app catalog (Teams admin center, Manage apps) and check `[msapi] teams_app_id`"
            )
        }
        (_, Meaning::AppNotInTeam) => hint!("Add the app to the team: Manage team, Apps"),
        (Operation::FindApp, Meaning::Ambiguous) => {
            hint!("Remove all but one of the copies of the app from the app catalog")
        }
        (Operation::FindUser, Meaning::Ambiguous) => hint!("Replace the email address with the user ID"),
        (Operation::FindUser, Meaning::NotFound) => {
            hint!("Check the spelling, or replace the email address with the user ID")
        }
        (Operation::FindTeam | Operation::FindChannel, Meaning::NotFound) => {
            hint!("Check the spelling of \"Team name/Channel name\", or write the link of the channel")
        }
        (Operation::FindTeam | Operation::FindChannel, Meaning::Ambiguous) => {
            hint!("Replace the name with the link of the channel")
        }
        (Operation::ListMembers, Meaning::NotFound | Meaning::Rejected) => {
            hint!("Check the object ID of the group: Entra admin center, Groups")
        }
        (_, Meaning::BotNotInstalled) => hint!("Add the app to the team or chat again"),
        (_, Meaning::Blocked) => hint!("Ask the user to unblock the app in Teams; no one else can"),
        _ => return None,
    };
    Some(text.to_owned())
}

/// Returns the hint for a 403 of Graph, which uses one code for most reasons.
fn denied(operation: Operation, envelope: &Envelope) -> Option<String> {
    let permission = Permission::of(operation)?;
    let least = permission.least;
    Some(match envelope.says {
        Some(Says::AppPolicy) => {
            hint!("Allow the app in the app permission policy of this user: Teams admin center, Teams apps, Permission policies")
                .to_owned()
        }
        Some(Says::NoLicence) => hint!("Assign the user a license that includes Microsoft Teams").to_owned(),
        Some(Says::NotOurApp) => {
            hint!("Upload the app.zip that `configure` wrote for this `[msapi] app_id`: it is webApplicationInfo.id in the manifest")
                .to_owned()
        }
        _ if envelope.is("UnknownError") => hint_with!(
            "Check the account, license and app permission policy of the user in the Teams admin center; if every user is \
             affected, grant the application permission {least} and give admin consent"
        ),
        _ => hint_with!("Grant the application permission {least} and give admin consent"),
    })
}
