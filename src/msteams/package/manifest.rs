//! The manifest of the Teams app.

use serde_json::{Value, json};
use uuid::Uuid;

/// The schema of the manifest. It is the first with shared channels.
const SCHEMA: &str = "1.25";

/// The version of the app. It is higher than the Go plugin's 1.0.0, so that the catalog accepts this app as an update
/// of it. Raise it with every change of the package.
pub(super) const APP_VERSION: &str = "1.1.3";

/// The version of an interactive app. It is higher than [`APP_VERSION`], so that the catalog accepts it as an update, too.
/// Raise it with every change of the package.
pub(super) const INTERACTIVE_VERSION: &str = "1.2.0";

/// The base of the three developer pages that the schema requires. The app belongs to the organization that uploads it,
/// whose pages are unknown here, and this project has none. A name below `invalid` cannot be registered (RFC 2606), so
/// no stranger can publish a privacy policy in this app's name.
const DEVELOPER_PAGES: &str = "https://not-set.invalid";

/// What people can do with the bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// The bot only sends notifications.
    None,
    /// The buttons of cards, and messages to the bot, reach the bot.
    Buttons,
}

impl Interaction {
    /// Returns the version in the catalog after the package is uploaded.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::None => APP_VERSION,
            Self::Buttons => INTERACTIVE_VERSION,
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::None => {
                "Posts a card for each Teleport Access Request to its reviewers and channels, and keeps each card up to date \
                 until the request is resolved. It does not read or answer messages."
            }
            Self::Buttons => {
                "Posts a card for each Teleport Access Request to its reviewers and channels, with buttons to approve or deny \
                 the request, and keeps each card up to date until the request is resolved. It does not read messages."
            }
        }
    }
}

/// Describes the bot, in every scope that recipients may have.
pub(super) fn manifest(app_id: Uuid, teams_app_id: Uuid, interaction: Interaction) -> Value {
    json!({
        "$schema": format!("https://developer.microsoft.com/json-schemas/teams/v{SCHEMA}/MicrosoftTeams.schema.json"),
        "manifestVersion": SCHEMA,
        "version": interaction.version(),
        "id": teams_app_id,
        "developer": {
            "name": "teleport-msteams",
            "websiteUrl": DEVELOPER_PAGES,
            "privacyUrl": format!("{DEVELOPER_PAGES}/privacy"),
            "termsOfUseUrl": format!("{DEVELOPER_PAGES}/terms"),
        },
        "icons": { "color": "color.png", "outline": "outline.png" },
        "name": { "short": "TeleBot", "full": "TeleBot, for Teleport Access Requests" },
        "description": {
            "short": "Teleport Access Requests for reviewers",
            "full": interaction.description(),
        },
        "accentColor": "#3B2F8F",
        "bots": [{
            "botId": app_id,
            "scopes": ["personal", "team", "groupChat"],
            "supportsFiles": false,
            // With it, Teams disables the buttons (`OfficeDev/microsoft-teams-apps-icebreaker` #239).
            "isNotificationOnly": interaction == Interaction::None,
        }],
        "permissions": ["identity", "messageTeamMembers"],
        "validDomains": [],
        // Graph's "Self" permissions find the app by this id; the resource URL has no meaning without sign-in.
        "webApplicationInfo": { "id": app_id, "resource": "https://inapplicable" },
        "supportsChannelFeatures": "tier1",
    })
}
