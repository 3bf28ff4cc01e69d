//! Checks the version of the app, in the catalog and of installations.

use crate::cli::validate::results::CheckResults;
use crate::domain::recipients::Address;
use crate::msteams::{Package, Teams, is_older};

const CHECK: &str = "version of the app";

/// Checks the version in the catalog, and returns it. The interactive app also serves without buttons.
pub(super) async fn published(teams: &Teams, has_buttons: bool, results: &mut CheckResults) -> Option<String> {
    let version = match teams.published_version().await {
        Ok(Some(version)) => version,
        Ok(None) => {
            results.skipped(CHECK, "the catalog does not show a version");
            return None;
        }
        Err(error) => {
            results.warning(CHECK, error.to_string(), error.hint());
            return None;
        }
    };
    if version == Package::INTERACTIVE_VERSION || (version == Package::VERSION && !has_buttons) {
        results.ok(CHECK, &version);
    } else if has_buttons {
        let needed = Package::INTERACTIVE_VERSION;
        let detail = format!("the catalog has {version}, buttons need {needed}");
        let hint = hint!("Run `configure --review --force` and upload app.zip as an update of the app");
        results.failed(CHECK, detail, Some(hint));
    } else {
        let detail = format!("the catalog has {version}, this program creates {}", Package::VERSION);
        let hint = hint!("Run `configure --force` and upload app.zip as an update of the app");
        results.warning(CHECK, detail, Some(hint));
    }
    Some(version)
}

/// Warns of an installation that is older than the catalog, or that is the package of the Go plugin. Graph does not show the
/// scopes of a bot, so they are known by the version.
pub(super) fn installed(address: &Address, version: &str, published: Option<&str>, results: &mut CheckResults) {
    let name = address.as_str();
    let has_old_scopes = version == Package::GO_PLUGIN_VERSION && address.is_person();
    let is_old = published.is_some_and(|published| is_older(version, published));
    if has_old_scopes {
        let detail = format!(
            "{name} has {version}, the package of the Go plugin, which lacks the scope for people: its bot may stay silent in chats"
        );
        let hint = if is_old {
            hint!("Set `[msapi] upgrade_app` to true, or update the app in Teams: Apps, Manage your apps")
        } else {
            hint!(
                "Run `configure --force` and upload app.zip as an update of the app, then set `[msapi] upgrade_app` to true"
            )
        };
        results.warning(CHECK, detail, Some(hint));
    } else if is_old {
        let published = published.unwrap_or_default();
        let detail = format!("{name} has {version}, the catalog has {published}");
        let hint = hint!("Set `[msapi] upgrade_app` to true, or update the app in Teams: Apps, Manage your apps");
        results.warning(CHECK, detail, Some(hint));
    }
}
