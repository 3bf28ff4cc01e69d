//! Managed identities: the token endpoints of a virtual machine and of App Service.

use serde_json::{Value, json};

use crate::PLANTED;
use crate::tenant::Tenant;
use crate::tenant::call::{Asked, Reply};
use crate::tenant::login::issue;
use crate::tenant::state::World;

/// The managed identities of the pretend machine.
#[derive(Default)]
pub(super) struct Managed {
    /// Client IDs. The first one is the identity of a request without an ID.
    pub(super) ids: Vec<String>,
}

impl Tenant {
    /// Gives the machine a managed identity with this client ID.
    pub fn assign_identity(&self, client_id: &str) {
        self.change(|world| world.managed.ids.push(client_id.to_owned()));
    }

    /// Returns the address of the metadata service of a virtual machine.
    pub fn metadata(&self) -> String {
        self.change_quietly(|world| world.base.clone())
    }

    /// Returns the address of the token endpoint of App Service, and the header that it expects.
    pub fn app_service(&self) -> (String, String) {
        (format!("{}/msi/token", self.metadata()), header())
    }
}

fn header() -> String {
    format!("header-{PLANTED}")
}

/// Answers as the metadata service of a virtual machine.
pub(super) fn metadata(world: &mut World, asked: &Asked) -> Reply {
    if asked.path != "/metadata/identity/oauth2/token" {
        return Reply::empty(404);
    }
    let refused = |text: &str| Reply::ok(400, json!({"error": "invalid_request", "error_description": text}));
    if asked.header("metadata") != "true" || !asked.header("x-forwarded-for").is_empty() {
        return refused("Required metadata header not specified");
    }
    if asked.query("api-version") != Some("2018-02-01") {
        return refused("Invalid API version");
    }
    let Some(mut token) = token(world, asked) else {
        return refused("Identity not found");
    };
    // This service writes numbers as texts.
    token["expires_in"] = json!(token["expires_in"].to_string());
    Reply::ok(200, token)
}

/// Answers as App Service.
pub(super) fn app_service(world: &mut World, asked: &Asked) -> Reply {
    let refused = |status: u16, text: &str| {
        let body = json!({"statusCode": status, "message": text, "correlationId": "0"});
        Reply::ok(status, body)
    };
    if asked.header("x-identity-header") != header() {
        return refused(401, "Unauthorized");
    }
    if asked.query("api-version") != Some("2019-08-01") {
        return refused(400, "Invalid API version");
    }
    // Without an ID it uses the system-assigned identity, which the machine does not have.
    let token = asked.query("client_id").and_then(|_| token(world, asked));
    let Some(mut token) = token else {
        return refused(400, "No User Assigned or Delegated Managed Identity found");
    };
    // This service returns the end of a token, not its lifetime.
    token.as_object_mut().and_then(|token| token.remove("expires_in"));
    Reply::ok(200, token)
}

fn token(world: &mut World, asked: &Asked) -> Option<Value> {
    let resource = asked.query("resource")?;
    let scope = format!("{resource}/.default");
    if !world.options.cloud.scopes().contains(&scope.as_str()) {
        return None;
    }
    let wanted = asked.query("client_id");
    let mut ids = world.managed.ids.iter();
    let id = ids
        .find(|id| wanted.is_none_or(|wanted| wanted == id.as_str()))?
        .clone();
    let (token, life) = issue(world, &id, &scope);
    let ends = crate::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        + life;
    Some(json!({
        "access_token": token, "client_id": id, "expires_in": life, "expires_on": ends.to_string(),
        "resource": resource, "token_type": "Bearer",
    }))
}
