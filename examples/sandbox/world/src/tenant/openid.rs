//! The keys with which clients verify the requests of Teams, and the metadata that refers to them.

use serde_json::{Value, json};

use crate::tenant::call::{Asked, Reply};
use crate::tenant::signer::Signer;
use crate::tenant::state::World;

/// The keys that are used in turn.
const KEYS: [&str; 5] = ["K1", "K2", "K3", "K4", "K5"];

/// The key of the tokens, which is the only one that is published.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) signer: Signer,
    /// How often the key was replaced.
    pub(super) rotations: usize,
    /// How often the keys were asked for.
    pub(super) fetches: usize,
}

impl Keys {
    pub(super) fn token(&self, claims: &Value) -> String {
        self.signer.token(self.name(), &self.kid(), claims)
    }

    fn name(&self) -> &'static str {
        KEYS[self.rotations % KEYS.len()]
    }

    fn kid(&self) -> String {
        format!("teams-{}", self.rotations + 1)
    }

    fn document(&self) -> Value {
        let mut key = self.signer.public(self.name(), &self.kid()).unwrap_or_default();
        key["use"] = json!("sig");
        key["x5t"] = json!(self.kid());
        key["endorsements"] = json!(["msteams", "skype", "webchat", "directline", "emulator"]);
        json!({ "keys": [key] })
    }
}

pub(super) fn answer(world: &mut World, asked: &Asked) -> Reply {
    let segments: Vec<_> = asked.segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), &segments[..]) {
        ("GET", ["openid", "v1", ".well-known", "openidconfiguration"]) => Reply::ok(
            200,
            json!({
                "issuer": world.options.cloud.issuer(),
                "authorization_endpoint": "https://invalid.botframework.com",
                "jwks_uri": format!("{}/openid/v1/.well-known/keys", world.base),
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            }),
        ),
        ("GET", ["openid", "v1", ".well-known", "keys"]) => {
            world.keys.fetches += 1;
            Reply::ok(200, world.keys.document())
        }
        _ => Reply::empty(404),
    }
}
