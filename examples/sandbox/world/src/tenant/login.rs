//! The login service: tokens for client credentials.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::PLANTED;
use crate::tenant::assertion;
use crate::tenant::call::{Asked, Reply};
use crate::tenant::state::{Token, World};

/// Lifetime of a token, in seconds.
const LIFE: u64 = 3_599;

pub(super) fn answer(world: &mut World, asked: &Asked) -> Reply {
    let ["login", tenant, "oauth2", "v2.0", "token"] =
        asked.segments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return Reply::empty(404);
    };
    if asked.method != "POST"
        || !asked
            .header("content-type")
            .starts_with("application/x-www-form-urlencoded")
    {
        return Reply::empty(400);
    }
    let text = String::from_utf8_lossy(&asked.body).into_owned();
    let form = Asked::new("POST", "", &text, axum::http::HeaderMap::new(), Vec::new());
    let field = |name| form.query(name).unwrap_or_default();
    let options = &world.options;
    if tenant != options.tenant_id {
        return refusal(90_002);
    }
    if field("client_id") != options.app_id {
        return refusal(700_016);
    }
    let has_assertion = field("client_secret").is_empty() && !field("client_assertion").is_empty();
    if !has_assertion && field("client_secret") != options.app_secret {
        return refusal(7_000_215);
    }
    if has_assertion {
        let audience = format!("{}{}", world.base, asked.path);
        if let Err(code) = assertion::check(world, &form, &audience) {
            return refusal(code);
        }
    }
    if field("grant_type") != "client_credentials" || !field("scope").ends_with("/.default") {
        return refusal(70_011);
    }
    if !world.options.cloud.scopes().contains(&field("scope")) {
        return refusal(500_011);
    }
    let app_id = world.options.app_id.clone();
    let (token, said) = issue(world, &app_id, field("scope"));
    Reply::ok(
        200,
        json!({"token_type": "Bearer", "expires_in": said, "access_token": token}),
    )
}

/// Issues a token of an app for a scope, and returns it with the lifetime that it claims.
pub(super) fn issue(world: &mut World, app_id: &str, scope: &str) -> (String, u64) {
    let life = world.faults.token_lives.unwrap_or(LIFE);
    let options = &world.options;
    // Clients can read a token, but only the services accept it.
    let claims = json!({
        "aud": scope, "appid": app_id, "tid": options.tenant_id, "roles": options.roles, "uti": Uuid::new_v4(),
    });
    let token = format!("e30.{}.{PLANTED}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let until = Instant::now() + Duration::from_secs(life);
    let scope = scope.to_owned();
    world.tokens.insert(token.clone(), Token { scope, until });
    (token, world.faults.token_says.unwrap_or(life))
}

/// Returns an error in the form of the login service.
pub(super) fn refusal(code: u32) -> Reply {
    let (status, error, text) = match code {
        7_000_215 => (401, "invalid_client", "Invalid client secret provided."),
        7_000_222 => (401, "invalid_client", "The provided client secret keys are expired."),
        700_021 | 700_023 | 700_024 | 700_027 => (401, "invalid_client", "Client assertion was rejected."),
        70_021 | 700_211..=700_213 => (
            401,
            "invalid_client",
            "No matching federated identity record found for presented assertion.",
        ),
        700_016 => (
            400,
            "unauthorized_client",
            "Application was not found in the directory.",
        ),
        90_002 => (400, "invalid_request", "Tenant not found."),
        500_011 => (
            400,
            "invalid_resource",
            "The resource principal was not found in the tenant.",
        ),
        70_011 => (
            400,
            "invalid_scope",
            "The provided value for the input parameter 'scope' is not valid.",
        ),
        _ => (400, "invalid_request", "Refused."),
    };
    Reply::ok(
        status,
        json!({
            "error": error,
            "error_description": format!("AADSTS{code}: {text} Trace ID: 0 Correlation ID: 0 Timestamp: now"),
            "error_codes": [code],
            "correlation_id": "00000000-0000-0000-0000-000000000000",
        }),
    )
}
