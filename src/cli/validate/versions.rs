//! Checks the version of the app, in the catalog and of installations.

use crate::cli::validate::results::CheckResults;
use crate::config::Settings;
use crate::domain::recipients::Address;
use crate::msteams::{Package, Teams, is_older};

const CHECK: &str = "version of the app";

/// What installations are compared with.
pub(super) struct Catalog {
    version: Option<String>,
    /// Whether the daemon upgrades older installations.
    upgrades: bool,
}

/// Checks the version in the catalog, and returns it. The interactive app also serves without buttons.
pub(super) async fn published(teams: &Teams, settings: &Settings, results: &mut CheckResults) -> Catalog {
    Catalog {
        version: version(teams, settings.review.enabled, results).await,
        upgrades: settings.microsoft.upgrade_app,
    }
}

async fn version(teams: &Teams, has_buttons: bool, results: &mut CheckResults) -> Option<String> {
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
pub(super) fn installed(address: &Address, version: &str, catalog: &Catalog, results: &mut CheckResults) {
    let name = address.as_str();
    let published = catalog.version.as_deref();
    let outdated = if catalog.upgrades {
        hint!("Restart the daemon, which upgrades the app after the next card")
    } else {
        hint!(
            "Set `[msapi] upgrade_app` to true and restart the daemon, or update the app in Teams: Apps, Manage your apps"
        )
    };
    let has_old_scopes = version == Package::GO_PLUGIN_VERSION && address.is_person();
    let is_old = published.is_some_and(|published| is_older(version, published));
    if has_old_scopes {
        let detail = format!(
            "{name} has {version}, the package of the Go plugin, which lacks the scope for people: its bot may stay silent in chats"
        );
        let hint = match (is_old, catalog.upgrades) {
            (true, _) => outdated,
            (false, true) => {
                hint!("Run `configure --force` and upload app.zip as an update of the app, then restart the daemon")
            }
            (false, false) => hint!(
                "Run `configure --force` and upload app.zip as an update of the app, then set `[msapi] upgrade_app` to true and restart the daemon"
            ),
        };
        results.warning(CHECK, detail, Some(hint));
    } else if is_old {
        let published = published.unwrap_or_default();
        let detail = format!("{name} has {version}, the catalog has {published}");
        results.warning(CHECK, detail, Some(outdated));
    }
}
