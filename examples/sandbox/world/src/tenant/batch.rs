//! Graph's `$batch`: up to twenty requests in one, each with its own answer.

use axum::body::Body;
use axum::http::Response;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::tenant::call::{Asked, Reply};
use crate::tenant::{Tenant, graph, server};

/// The documented number of requests in one batch.
const MOST: usize = 20;

/// Largest answer to read, in bytes.
const LARGEST: usize = 1 << 20;

/// Returns whether a request is a batch.
pub(super) fn is_one(asked: &Asked) -> bool {
    asked.method == "POST" && asked.segments == ["graph", "v1.0", "$batch"]
}

/// Answers every request of a batch at the same time, with the faults that apply to it alone.
pub(super) async fn answer(tenant: &Tenant, asked: &Asked, broken: &CancellationToken) -> Reply {
    if !tenant.change_quietly(|world| graph::accepts(world, asked)) {
        return graph::unauthorized();
    }
    let Some(parts) = asked.json().and_then(|body| body["requests"].as_array().cloned()) else {
        return Reply::error(400, "BadRequest", "Invalid batch payload format.");
    };
    let mut ids: Vec<_> = parts.iter().map(|part| part["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    if parts.is_empty() || parts.len() > MOST || ids.len() < parts.len() || ids.contains(&None) {
        return Reply::error(400, "BadRequest", "Invalid batch payload format.");
    }
    let answers = parts.iter().map(|part| answer_part(tenant, asked, part, broken));
    Reply::ok(200, json!({ "responses": join_all(answers).await }))
}

async fn answer_part(tenant: &Tenant, asked: &Asked, part: &Value, broken: &CancellationToken) -> Value {
    let id = &part["id"];
    let url = part["url"].as_str().unwrap_or_default();
    let (Some(method), true) = (part["method"].as_str(), url.starts_with('/')) else {
        return json!({"id": id, "status": 400, "body": {"error": {"code": "BadRequest", "message": "Invalid url"}}});
    };
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let inner = Asked::new(
        method,
        &format!("/graph/v1.0{path}"),
        query,
        asked.headers.clone(),
        part["body"].to_string().into_bytes(),
    );
    let answer: Response<Body> = Box::pin(server::answer_one(tenant.clone(), inner, broken.clone())).await;
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, LARGEST).await.unwrap_or_default();
    let mut answer = json!({"id": id, "status": head.status.as_u16(), "headers": {}});
    if let Some(pause) = head.headers.get("retry-after").and_then(|value| value.to_str().ok()) {
        answer["headers"]["Retry-After"] = json!(pause);
    }
    answer["body"] = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
    answer
}
