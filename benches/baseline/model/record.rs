//! The model's record in Teleport's plugin data.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use teleport_msteams::domain::lifecycle::Record;
use teleport_msteams::domain::request::AccessRequest;

pub(crate) type Data = BTreeMap<String, String>;

/// A card that was posted.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    /// The recipient as in the configuration.
    pub(crate) recipient: String,
}

/// The keys that a claim expects to be absent, without those that only this program uses.
pub(crate) fn nothing() -> Data {
    let mut data = Record::expect_absent();
    data.retain(|key, _| !key.starts_with("x_"));
    data
}

pub(crate) fn claim(request: &AccessRequest) -> Data {
    let mut data = nothing();
    data.insert("user".to_owned(), request.user.clone());
    data.insert("roles".to_owned(), request.roles.join(","));
    data.insert("request_reason".to_owned(), request.reason.clone());
    data
}

pub(crate) fn put_messages(data: &mut Data, messages: &[Message]) {
    let entries = messages.iter().map(|Message { id, recipient }| {
        let entry = json!({"id": id, "ts": "07 May 24 09:05 UTC", "rid": recipient});
        STANDARD.encode(entry.to_string())
    });
    data.insert("messages".to_owned(), entries.collect::<Vec<_>>().join(","));
}

pub(crate) fn messages(data: &Data) -> Vec<Message> {
    let entries = data.get("messages").map_or("", String::as_str).split(',');
    let read = |entry: &str| {
        let json: Value = serde_json::from_slice(&STANDARD.decode(entry).ok()?).ok()?;
        Some(Message {
            id: json["id"].as_str()?.to_owned(),
            recipient: json["rid"].as_str()?.to_owned(),
        })
    };
    entries.filter_map(read).collect()
}
