//! What Microsoft Teams sends to the bot: tokens, keys and activities.
//!
//! `tests/fixtures/inbound-vectors.json` says for each token and body whether it must be served. The keys that sign the
//! tokens are those of the pretend tenant.

mod bodies;
mod pretend;
mod properties;
mod signer;
mod source;
mod tokens;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
use teleport_msteams::msteams::inbound::{Audience, Bearer, BodyRefusal, Event, KeySet, Verified};

use self::signer::{Signer, vectors};

/// The time of all tests, to which the times of the vectors are relative.
fn now() -> Timestamp {
    "2026-11-26T03:00:00Z".parse().unwrap()
}

fn constant(name: &str) -> String {
    vectors()["constants"][name].as_str().unwrap().to_owned()
}

fn audience() -> Audience {
    Audience::new(
        &constant("issuer"),
        &constant("app_id").to_uppercase(),
        &constant("tenant"),
    )
}

/// Returns the proof that a good token gives.
fn verified(signer: &Signer) -> Verified {
    let token = signer.good_token();
    verify(&headers(Some(&format!("Bearer {token}"))), &signer.published()).unwrap()
}

fn headers(authorization: Option<&str>) -> HeaderMap {
    let value = authorization.map(|value| HeaderValue::from_str(value).unwrap());
    value.into_iter().map(|value| (AUTHORIZATION, value)).collect()
}

/// Verifies a request as the server does. The error says why it is refused.
fn verify(headers: &HeaderMap, keys: &KeySet) -> Result<Verified, String> {
    let bearer = Bearer::from_headers(headers).map_err(|refusal| refusal.to_string())?;
    let key = match keys.find(bearer.kid()) {
        Some(key) => key.map_err(|unusable| unusable.to_string())?,
        None => return Err("the key is unknown".to_owned()),
    };
    let verified = bearer.verify(&key, &audience(), now());
    verified.map_err(|refusal| refusal.to_string())
}

/// Reads a body that arrived with a good token.
fn read(signer: &Signer, body: &Value) -> Result<Event, u16> {
    let event = Event::read(body.to_string().as_bytes(), verified(signer), &audience());
    event.map_err(BodyRefusal::status)
}

const PERSON: &str = "8d2ebb31-7109-4019-a596-2b06d540db6b";
const REQUEST: &str = "0193cb6d-1f6c-7e4b-9d3f-2c6f8f5a7b10";

/// A press of "Approve" in a personal chat, as Teams sends it.
fn press() -> Value {
    json!({
        "type": "invoke",
        "name": "adaptiveCard/action",
        "channelId": "msteams",
        "id": "f:17b96347-e8b4-f340-10bc-eb52fc1a6ad4",
        "timestamp": "2026-11-26T03:00:00.89Z",
        "locale": "en-US",
        "serviceUrl": constant("service_url"),
        "from": {"id": "29:1uMV", "name": "Alice", "aadObjectId": PERSON},
        "recipient": {"id": format!("28:{}", constant("app_id")), "name": "bot"},
        "conversation": {"id": "a:17vx", "conversationType": "personal", "tenantId": constant("tenant")},
        "entities": [{"type": "clientInfo", "platform": "Web"}],
        "channelData": {"tenant": {"id": constant("tenant")}, "source": {"name": "message"}},
        "replyToId": "1767765488332",
        "value": {
            "action": {
                "type": "Action.Execute",
                "title": "Approve",
                "verb": "approve",
                "id": "",
                "data": {"request": REQUEST, "reason": "on call\r\n"},
            },
            "trigger": "manual",
        },
    })
}

/// Sets a field by its path, such as `channelData.tenant.id`; `null` removes it.
fn set(body: &mut Value, path: &str, value: Value) {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut object = body;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        object = &mut object[parent];
    }
    let fields = object.as_object_mut().unwrap();
    match value {
        Value::Null => fields.remove(name),
        value => fields.insert(name.to_owned(), value),
    };
}
