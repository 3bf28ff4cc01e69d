//! What an access token says about the app.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// What a token says about the app.
#[derive(Deserialize)]
pub(crate) struct Claims {
    /// Missing if the app has no permissions.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    /// The client ID of the app, in tokens of version 1 and of version 2.
    pub(crate) appid: Option<String>,
    pub(crate) azp: Option<String>,
}

/// Reads a JSON web token without verifying it, because it comes directly from the login service.
pub(crate) fn claims(token: &str) -> Option<Claims> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Returns the permissions in a token; `None` if they cannot be read.
pub(crate) fn roles(token: &str) -> Option<Vec<String>> {
    Some(claims(token)?.roles)
}
