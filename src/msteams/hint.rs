//! What somebody can do about a failure.
//!
//! Architecture Invariant: a hint names what to change (a permission, a key of the configuration, a place in Teams); it never
//! repeats what failed.

use crate::msteams::envelope::{Envelope, Says};
use crate::msteams::error::{Meaning, Operation};
use crate::msteams::permissions::Permission;

/// Returns the hint for a failed call of Graph or the connector.
pub(crate) fn hint(operation: Operation, meaning: Meaning, envelope: &Envelope) -> Option<String> {
    let text = match (operation, meaning) {
        _ if envelope.is("BotDisabledByAdmin") => {
            "let an administrator allow the app in the Teams admin center, Manage apps"
        }
        _ if envelope.is("InvalidBotApiHost") => {
            "the tenant is in another cloud: set `[msapi] cloud` to it, for example \"gcc\""
        }
        (Operation::Post | Operation::Update, Meaning::Credentials) => {
            "create an Azure Bot resource for `[msapi] app_id` in the tenant and add the Microsoft Teams channel to it"
        }
        (_, Meaning::Credentials) => {
            "check that `[msapi] tenant_id` and `[msapi] cloud` belong to the same organisation"
        }
        (operation, Meaning::Denied) => return denied(operation, envelope),
        (Operation::FindInTeam, Meaning::NotFound) => "check the groupId in the channel link; the team may be deleted",
        (Operation::Install | Operation::FindInstallation, Meaning::NotFound) => {
            "check that the person has signed in to Teams at least once, and that the app is still in the \
             organisation's app catalog (Teams admin center, Manage apps)"
        }
        (_, Meaning::AppNotInCatalog) => {
            "upload app.zip to the organisation's app catalog (Teams admin center, Manage apps), and check `[msapi] \
             teams_app_id`"
        }
        (_, Meaning::AppNotInTeam) => "add the app to the team: Manage team, Apps",
        (Operation::FindApp, Meaning::Ambiguous) => {
            "remove the copies of the app from the organisation's app catalog, but one"
        }
        (Operation::FindUser, Meaning::Ambiguous) => "name the user by user id instead of by mail address",
        (Operation::FindUser, Meaning::NotFound) => "check the spelling, or name the user by user id",
        (_, Meaning::BotNotInstalled) => "add the app to the team or chat again",
        (_, Meaning::Blocked) => "only the user can unblock the app, in Teams",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Tells the many reasons for a 403 of Graph apart: its code is the same for most of them.
fn denied(operation: Operation, envelope: &Envelope) -> Option<String> {
    let permission = Permission::of(operation)?;
    let grant = format!(
        "grant the app registration the application permission {}, with admin consent",
        permission.least
    );
    Some(match envelope.says {
        Some(Says::AppPolicy) => "allow the app in the app permission policy that applies to this person: Teams admin \
                                  center, Teams apps, Permission policies"
            .to_owned(),
        Some(Says::NoLicence) => "assign the person a licence that includes Microsoft Teams".to_owned(),
        Some(Says::NotOurApp) => "upload the app.zip that `configure` made with this `[msapi] app_id`: \
                                  webApplicationInfo.id in its manifest must be that id"
            .to_owned(),
        _ if envelope.is("UnknownError") => format!(
            "if this concerns one person, check their account, licence and app permission policy in the Teams admin \
             center; if it concerns everyone, {grant}"
        ),
        _ => grant,
    })
}
