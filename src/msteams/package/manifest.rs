//! The manifest of the Teams app.

use serde_json::{Value, json};
use uuid::Uuid;

/// The schema that the manifest follows, and is checked against. It is the first that knows shared channels.
const SCHEMA: &str = "1.25";

/// The version of the app. It is higher than the Go plugin's 1.0.0, so that the catalog takes this app for an update of that
/// one; raise it with every change of the package.
pub(super) const APP_VERSION: &str = "1.1.2";

/// The three addresses of the developer that the schema requires. The app belongs to the company that uploads it, whose
/// pages are not known here, and this project has none. A name below `invalid` belongs to no organization and can never be
/// registered (RFC 2606), so no stranger can publish a privacy policy in this app's name.
const DEVELOPER_PAGES: &str = "https://not-set.invalid";

/// Describes a bot that people cannot talk to, in all places where it may have to speak.
pub(super) fn manifest(app_id: Uuid, teams_app_id: Uuid) -> Value {
    json!({
        "$schema": format!("https://developer.microsoft.com/json-schemas/teams/v{SCHEMA}/MicrosoftTeams.schema.json"),
        "manifestVersion": SCHEMA,
        "version": APP_VERSION,
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
            "short": "Shows Teleport Access Requests to those who decide them",
            "full": "Posts a card for each Teleport Access Request to the people and channels that may decide it, and keeps \
                     every card true until the request is over. It reads no messages and cannot be talked to.",
        },
        "accentColor": "#3B2F8F",
        "bots": [{
            "botId": app_id,
            "scopes": ["personal", "team", "groupChat"],
            "supportsFiles": false,
            "isNotificationOnly": true,
        }],
        "permissions": ["identity", "messageTeamMembers"],
        "validDomains": [],
        // Graph's "Self" permissions find the app by this id; the address of the resource has no meaning without sign-in.
        "webApplicationInfo": { "id": app_id, "resource": "https://inapplicable" },
        "supportsChannelFeatures": "tier1",
    })
}
