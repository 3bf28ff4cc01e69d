//! One HTTP request, and the answer to it.

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_json::json;

/// A request that was answered, for assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub status: u16,
}

/// A request to be answered.
pub(super) struct Asked {
    pub(super) method: String,
    /// The path as received, without the query.
    pub(super) path: String,
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    /// Seconds, or a date.
    pub(super) retry_after: Option<String>,
}

impl Asked {
    pub(super) fn new(method: &str, path: &str, query: &str, headers: HeaderMap, body: Vec<u8>) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            segments: path.split('/').filter(|part| !part.is_empty()).map(decode).collect(),
            query: query.split('&').filter(|part| !part.is_empty()).map(pair).collect(),
            headers,
            body,
        }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Option<Value> {
        let is_json = self.header("content-type").starts_with("application/json");
        serde_json::from_slice(&self.body).ok().filter(|_| is_json)
    }
}

impl Reply {
    pub(super) fn ok(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            retry_after: None,
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            body: None,
            retry_after: None,
        }
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::ok(status, json!({"error": {"code": code, "message": message}}))
    }
}

/// Parses a filter `field eq 'value'`, in which quotes are doubled; `None` if it is anything else.
pub(super) fn filter(text: &str, field: &str) -> Option<String> {
    let literal = text.strip_prefix(field)?.strip_prefix(" eq '")?.strip_suffix('\'')?;
    let plain = literal.replace("''", "\u{0}");
    (!plain.contains('\'')).then(|| plain.replace('\u{0}', "'"))
}
