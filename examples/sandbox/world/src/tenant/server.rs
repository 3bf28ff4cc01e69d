//! The port: plain HTTP, and connections that break on request.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Request;
use axum::http::Response;
use futures_util::StreamExt as _;
use futures_util::stream;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::tenant::call::{Asked, Reply};
use crate::tenant::state::World;
use crate::tenant::{Call, Fault, Tenant, batch, bot, graph, login, managed_identity, openid};

/// Largest request body to read, in bytes.
const LARGEST: usize = 8 << 20;

/// How long a part of an answer may take to be sent.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

pub(super) fn serve(tenant: Tenant, listener: TcpListener) {
    crate::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Disables Nagle's algorithm: small answers must not wait for each other.
            let _ = stream.set_nodelay(true);
            let tenant = tenant.clone();
            crate::spawn(async move {
                let broken = CancellationToken::new();
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let (tenant, broken) = (tenant.clone(), broken.clone());
                    async move { Ok::<_, Infallible>(answer(tenant, request.map(Body::new), broken).await) }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    () = broken.cancelled() => {}
                    // A client that disconnects is not an error.
                    _ = connection => {}
                }
            });
        }
    });
}

async fn answer(tenant: Tenant, request: Request<Body>, broken: CancellationToken) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST).await.unwrap_or_default();
    let (method, path) = (head.method.as_str(), head.uri.path());
    let asked = Asked::new(
        method,
        path,
        head.uri.query().unwrap_or_default(),
        head.headers,
        body.to_vec(),
    );
    let latency = tenant.change_quietly(|world| world.faults.latency);
    sleep(latency).await;
    answer_one(tenant, asked, broken).await
}

/// Answers one request, which may be a part of a batch.
pub(super) async fn answer_one(tenant: Tenant, asked: Asked, broken: CancellationToken) -> Response<Body> {
    let fault = tenant.change(|world| {
        let fault = world.faults.take(&asked.method, &asked.path);
        world.met.extend(fault.clone());
        fault
    });
    match &fault {
        Some(Fault::Slow(pause)) => sleep(*pause).await,
        Some(Fault::Held(gate)) => gate.pass().await,
        _ => {}
    }
    let faulty = match &fault {
        Some(Fault::Status(status, retry_after)) => Some(Reply {
            retry_after: retry_after.map(|seconds| seconds.to_string()),
            ..Reply::empty(*status)
        }),
        Some(Fault::StatusUntil(status, seconds)) => Some(Reply {
            retry_after: Some(date(crate::now() + Duration::from_secs(*seconds))),
            ..Reply::empty(*status)
        }),
        Some(Fault::TokenError(code)) => Some(login::refusal(*code)),
        Some(Fault::Error(status, code)) => Some(Reply::error(*status, code, "Pretended")),
        Some(Fault::Html) => Some(Reply::empty(200)),
        Some(Fault::Page(status, ..)) => Some(Reply::empty(*status)),
        Some(Fault::ResetBefore) => {
            tenant.record(call(&asked, 0));
            broken.cancel();
            return std::future::pending().await;
        }
        Some(Fault::Hang) => {
            tenant.record(call(&asked, 0));
            return std::future::pending().await;
        }
        Some(
            Fault::Empty
            | Fault::HalfBody
            | Fault::PageBehind(_)
            | Fault::ResetAfter
            | Fault::Slow(_)
            | Fault::Held(_)
            | Fault::HeldAnswer(_)
            | Fault::Typed(_),
        )
        | None => None,
    };
    let reply = match faulty {
        Some(faulty) => faulty,
        None if batch::is_one(&asked) => batch::answer(&tenant, &asked, &broken).await,
        None => tenant.change(|world| served(world, &asked)),
    };
    if let (Some(Fault::Empty | Fault::HalfBody | Fault::ResetAfter | Fault::PageBehind(_)), Some(body)) =
        (&fault, &reply.body)
    {
        let id = body["id"].as_str().unwrap_or_default();
        let conversation = asked.segments.iter().rev().nth(1).map(String::as_str);
        tenant.change(|world| world.hide_id(conversation.unwrap_or_default(), id));
    }
    let status = match &fault {
        Some(Fault::PageBehind(status)) => *status,
        _ => reply.status,
    };
    tenant.record(call(&asked, status));
    match fault {
        Some(Fault::ResetAfter) => {
            broken.cancel();
            std::future::pending().await
        }
        Some(Fault::Html) => page(200, "text/html", PAGE),
        Some(Fault::Page(status, content_type, body)) => page(status, content_type, body),
        Some(Fault::PageBehind(status)) => page(status, "text/html", PAGE),
        Some(Fault::Empty) => response(&reply, Body::empty()),
        Some(Fault::HalfBody) => half(&reply),
        Some(Fault::HeldAnswer(gate)) => {
            gate.pass().await;
            complete(&reply)
        }
        Some(Fault::Typed(content_type)) => {
            let mut response = complete(&reply);
            let value = HeaderValue::from_static(content_type);
            response.headers_mut().insert("content-type", value);
            response
        }
        _ => complete(&reply),
    }
}

/// Answers as the service that the path begins with.
fn served(world: &mut World, asked: &Asked) -> Reply {
    match asked.segments.first().map(String::as_str) {
        Some("login") => login::answer(world, asked),
        Some("graph") => graph::answer(world, asked),
        Some("openid") => openid::answer(world, asked),
        Some("bot") => bot::answer(world, asked),
        Some("metadata") => managed_identity::metadata(world, asked),
        Some("msi") => managed_identity::app_service(world, asked),
        _ => Reply::empty(404),
    }
}

fn call(asked: &Asked, status: u16) -> Call {
    Call {
        method: asked.method.clone(),
        path: asked.path.clone(),
        status,
    }
}

fn response(reply: &Reply, body: Body) -> Response<Body> {
    let mut response = Response::builder().status(reply.status);
    if let Some(seconds) = &reply.retry_after {
        response = response.header("retry-after", seconds);
    }
    if reply.body.is_some() {
        response = response.header("content-type", "application/json; charset=utf-8");
    }
    response.body(body).expect("the parts are all valid")
}

fn complete(reply: &Reply) -> Response<Body> {
    let body = reply.body.as_ref().map(ToString::to_string).unwrap_or_default();
    response(reply, Body::from(body))
}

/// Formats a time as an HTTP date.
fn date(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).expect("a moment of these years");
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
    date.expect("these years can be written so")
}

const PAGE: &str = "<html><body>Please log in to the proxy</body></html>";

fn page(status: u16, content_type: &'static str, body: &'static str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    if !content_type.is_empty() {
        response = response.header("content-type", content_type);
    }
    response.body(Body::from(body)).expect("the parts are all valid")
}

/// Announces a complete body, and breaks off in its middle.
fn half(reply: &Reply) -> Response<Body> {
    let complete = reply.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let part = Bytes::copy_from_slice(&complete.as_bytes()[..complete.len() / 2]);
    let begun = stream::once(std::future::ready(Ok(part)));
    let broken = stream::once(async {
        // The first half must be sent before the rest breaks.
        sleep(ON_ITS_WAY).await;
        Err(std::io::Error::other("pretended"))
    });
    let mut response = response(reply, Body::from_stream(begun.chain(broken)));
    response.headers_mut().insert("content-length", complete.len().into());
    response
}
