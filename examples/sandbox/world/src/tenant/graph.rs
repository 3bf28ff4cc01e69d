//! Graph: the catalog, users, teams, and installations of the app.

use serde_json::Value;
use serde_json::json;
use uuid::Uuid;

use crate::tenant::call::{Asked, Reply, filter};
use crate::tenant::state::World;
use crate::tenant::{groups, manager, places, presence, users};

/// The permissions that show whether a user is a guest, and who the manager is.
pub(super) const SHOW_TYPE: [&str; 4] = [
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];

/// Asks for the app of an installation and its version.
const WITH_VERSION: &str = "teamsApp,teamsAppDefinition";

pub(super) fn answer(world: &mut World, asked: &Asked) -> Reply {
    if !accepts(world, asked) {
        return unauthorized();
    }
    let segments: Vec<_> = asked.segments.iter().map(String::as_str).collect();
    let roles = &world.options.roles;
    if let Some(any_of) = needed(&segments)
        && !roles.iter().any(|role| any_of.iter().any(|name| name == role))
    {
        let message = "Insufficient privileges to complete the operation.";
        return Reply::error(403, "Authorization_RequestDenied", message);
    }
    if !is_served(world, &segments) {
        return Reply::error(403, "Forbidden", "Not supported in this cloud");
    }
    let method = asked.method.as_str();
    match (method, &segments[..]) {
        ("GET", ["graph", "v1.0", "appCatalogs", "teamsApps"]) => catalog(world, asked),
        ("GET", ["graph", "v1.0", "users"]) => users::by_filter(world, asked),
        ("GET", ["graph", "v1.0", "users", key]) => users::by_id(world, asked, key),
        ("GET", ["graph", "v1.0", "users", key, "manager"]) => manager::answer(world, asked, key),
        ("POST", ["graph", "v1.0", "communications", "getPresencesByUserId"]) => presence::answer(world, asked),
        (_, ["graph", "v1.0", "users", key, teamwork, "installedApps", rest @ ..])
            if teamwork.eq_ignore_ascii_case("teamwork") =>
        {
            installed(world, asked, key, rest)
        }
        ("GET", ["graph", "v1.0", "teams"]) => places::teams(world, asked),
        ("GET", ["graph", "v1.0", "teams", id, "channels"]) => places::channels(world, asked, id),
        ("GET", ["graph", "v1.0", "groups", id, "transitiveMembers"]) => groups::members(world, asked, id),
        ("POST", ["graph", "v1.0", "teams", id, "installedApps", _, "upgrade"]) => {
            let newest = world.options.version.clone();
            let Some(team) = world.teams.iter_mut().find(|team| team.id == *id && team.installed) else {
                return Reply::error(404, "NotFound", "Installation not found");
            };
            team.version = newest;
            Reply::empty(204)
        }
        ("GET", ["graph", "v1.0", "teams", id, "installedApps"]) => {
            let Some(team) = world.teams.iter().find(|team| team.id == *id) else {
                return Reply::error(404, "NotFound", "No team found with Group Id");
            };
            let value = if team.installed {
                vec![installation(&format!("installed-{id}"), &team.version, asked)]
            } else {
                Vec::new()
            };
            app_filtered(world, asked, value)
        }
        _ => Reply::error(400, "BadRequest", "Resource not found for the segment"),
    }
}

/// Returns whether the token of a request is one for Graph of this cloud.
pub(super) fn accepts(world: &World, asked: &Asked) -> bool {
    world.accepts(asked.header("authorization"), world.options.cloud.graph_scope())
}

/// Returns whether Graph of this cloud serves a call about installations. The status of its refusal is not documented.
fn is_served(world: &World, segments: &[&str]) -> bool {
    match segments {
        [_, _, "users", _, _, "installedApps", ..] => world.options.cloud.has_installations_for_users(),
        [_, _, "teams", _, "installedApps", ..] => world.options.cloud.has_installations_in_teams(),
        _ => true,
    }
}

pub(super) fn unauthorized() -> Reply {
    let message = "Access token is empty, expired or for another audience.";
    Reply::error(401, "InvalidAuthenticationToken", message)
}

/// Returns the application permissions of which a call needs one.
///
/// Source: Microsoft Graph's reference of each call. The daemon's own table is not used here: a fake that reads it
/// could not reveal a mistake in it.
fn needed(segments: &[&str]) -> Option<&'static [&'static str]> {
    match segments {
        [_, _, "appCatalogs", ..] => Some(&["AppCatalog.Read.All", "AppCatalog.ReadWrite.All"]),
        [_, _, "users", _, "manager"] => Some(&SHOW_TYPE),
        [_, _, "communications", ..] => Some(&["Presence.Read.All", "Presence.ReadWrite.All"]),
        [_, _, "users", _, _, ..] => Some(&[
            "TeamsAppInstallation.ReadWriteSelfForUser.All",
            "TeamsAppInstallation.ReadWriteForUser.All",
        ]),
        [_, _, "users", ..] => Some(&[
            "User.ReadBasic.All",
            "User.Read.All",
            "User.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ]),
        [_, _, "teams"] => Some(&[
            "Team.ReadBasic.All",
            "TeamSettings.Read.All",
            "TeamSettings.ReadWrite.All",
        ]),
        [_, _, "teams", _, "channels"] => Some(&[
            "Channel.ReadBasic.All",
            "ChannelSettings.Read.All",
            "ChannelSettings.ReadWrite.All",
        ]),
        [_, _, "groups", ..] => Some(&[
            "GroupMember.Read.All",
            "Group.Read.All",
            "GroupMember.ReadWrite.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
        ]),
        [_, _, "teams", _, "installedApps", _, "upgrade"] => Some(&[
            "TeamsAppInstallation.ReadWriteSelfForTeam.All",
            "TeamsAppInstallation.ReadWriteForTeam.All",
        ]),
        [_, _, "teams", ..] => Some(&[
            "TeamsAppInstallation.ReadWriteSelfForTeam.All",
            "TeamsAppInstallation.ReadForTeam.All",
            "TeamsAppInstallation.ReadWriteForTeam.All",
        ]),
        _ => None,
    }
}

fn catalog(world: &World, asked: &Asked) -> Reply {
    let Some(wanted) = asked.query("$filter").and_then(|text| filter(text, "externalId")) else {
        return Reply::error(400, "BadRequest", "Invalid filter clause");
    };
    let options = &world.options;
    let mut app = json!({
        "id": options.catalog_id,
        "externalId": options.teams_app_id,
        "displayName": "TeleBot",
        "distributionMethod": "organization",
    });
    if asked.query("$expand") == Some("appDefinitions") {
        app["appDefinitions"] = json!([{"id": "x", "version": options.version, "publishingState": "published"}]);
    }
    let found = options.in_catalog && wanted == options.teams_app_id;
    list(if found { vec![app] } else { Vec::new() })
}

/// Answers calls about the installation of the app for a user: list, install, uninstall, and chat.
fn installed(world: &mut World, asked: &Asked, key: &str, rest: &[&str]) -> Reply {
    let hides = world.faults.chat_appears_after;
    let links = world.options.cloud.links();
    let catalog_id = world.options.catalog_id.clone();
    let newest = world.options.version.clone();
    let tenant_id = world.options.tenant_id.clone();
    let Some(account) = world.account(key) else {
        return unknown_user(key);
    };
    match (asked.method.as_str(), rest) {
        ("GET", []) => {
            let found = account.installation.as_ref();
            let found = found.map(|id| installation(id, &account.version, asked));
            app_filtered(world, asked, found.into_iter().collect())
        }
        ("POST", []) => {
            let bind = asked
                .json()
                .and_then(|body| body["teamsApp@odata.bind"].as_str().map(str::to_owned));
            if !bind.is_some_and(|bind| bind.ends_with(&format!("/appCatalogs/teamsApps/{catalog_id}"))) {
                return Reply::error(400, "BadRequest", "Invalid app reference");
            }
            if account.installation.is_some() {
                return Reply::error(409, "Conflict", "App already installed");
            }
            account.installation = Some(Uuid::new_v4().simple().to_string());
            account.version = newest;
            account.chat_hides = hides;
            let user = account.user.clone();
            world.news.push((user, "add"));
            Reply::empty(201)
        }
        ("GET", [installation, "chat"]) if account.installation.as_deref() == Some(*installation) => {
            if account.chat_hides > 0 {
                account.chat_hides -= 1;
                return Reply::error(404, "NotFound", "Chat not found");
            }
            let user = account.user.id.clone();
            let found = world.accounts.iter().find(|account| account.user.id == user);
            let id = found.map(|account| world.conversation_of(account)).unwrap_or_default();
            let url = format!("https://{links}/l/chat/{id}/0?tenantId={tenant_id}");
            Reply::ok(
                200,
                json!({"id": id, "chatType": "oneOnOne", "tenantId": tenant_id, "webUrl": url}),
            )
        }
        ("POST", [installation, "upgrade"]) if account.installation.as_deref() == Some(*installation) => {
            account.version = newest;
            Reply::empty(204)
        }
        ("DELETE", [installation]) if account.installation.as_deref() == Some(*installation) => {
            account.installation = None;
            let user = account.user.clone();
            world.news.push((user, "remove"));
            Reply::empty(204)
        }
        _ => Reply::error(404, "NotFound", "Installation not found"),
    }
}

/// Describes an installation, with its version if the query asks for it.
fn installation(id: &str, version: &str, asked: &Asked) -> Value {
    if asked.query("$expand") == Some(WITH_VERSION) {
        return json!({"id": id, "teamsAppDefinition": {"id": "x", "displayName": "TeleBot", "version": version}});
    }
    json!({ "id": id })
}

/// Answers with the installation if the query names our app in the documented way.
fn app_filtered(world: &World, asked: &Asked, value: Vec<Value>) -> Reply {
    let wanted = asked.query("$filter").and_then(|text| filter(text, "teamsApp/id"));
    match (asked.query("$expand"), wanted) {
        (Some("teamsApp" | WITH_VERSION), Some(id)) if id == world.options.catalog_id => list(value),
        (Some("teamsApp" | WITH_VERSION), Some(_)) => list(Vec::new()),
        _ => Reply::error(400, "BadRequest", "Invalid filter clause"),
    }
}

pub(super) fn unknown_user(key: &str) -> Reply {
    Reply::error(
        404,
        "Request_ResourceNotFound",
        &format!("Resource '{key}' does not exist"),
    )
}

pub(super) fn list(value: Vec<Value>) -> Reply {
    let value = Value::Array(value);
    Reply::ok(200, json!({"value": value}))
}
