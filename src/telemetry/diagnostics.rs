//! The HTTP port for probes and Prometheus: `/livez`, `/readyz` and `/metrics`.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::config::HostPort;
use crate::listener::{Bounds, Connection, Listener};
use crate::telemetry::error::Error;
use crate::telemetry::health::Health;
use crate::telemetry::metrics;
use crate::telemetry::metrics::Metrics;

/// A probe needs one connection for a moment, so idle clients cannot delay it.
const BOUNDS: Bounds = Bounds {
    connections: 32,
    head: Duration::from_secs(2),
    connection: Duration::from_secs(10),
    head_bytes: 8 << 10,
    keep_alive: false,
};

/// An open port, which answers while it is served.
#[derive(Debug)]
pub struct Diagnostics {
    listener: Listener,
    health: Health,
    metrics: Metrics,
}

impl Diagnostics {
    /// Opens the port.
    ///
    /// # Errors
    /// The port is in use, or the address does not belong to this machine.
    pub async fn open(address: &HostPort, health: &Health, metrics: &Metrics) -> Result<Self, Error> {
        let listener = Listener::bind(&address.host, address.port, BOUNDS).await;
        Ok(Self {
            listener: listener.map_err(|cause| Error::port(address, cause))?,
            health: health.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Returns the listen address, with the actual port if the configuration has port 0.
    pub fn address(&self) -> String {
        let address = self.listener.address();
        address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// Serves until shutdown. `spawn` runs each connection as a task.
    pub async fn serve(self, spawn: impl Fn(Connection)) -> Infallible {
        let (health, metrics) = (self.health, self.metrics);
        let answer = move |request: Request<_>, _| ready(answer(&request, &health, &metrics));
        self.listener.serve(spawn, answer).await
    }
}

fn answer<B>(request: &Request<B>, health: &Health, metrics: &Metrics) -> Response<String> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        // Teleport's services call it /healthz.
        "/livez" | "/healthz" => state(health.live()),
        "/readyz" => state(health.ready()),
        "/metrics" => of_kind(metrics::CONTENT_TYPE, metrics.text()),
        _ => text(
            StatusCode::NOT_FOUND,
            "not found; try /livez, /readyz or /metrics\n".to_owned(),
        ),
    }
}

fn state(state: Result<(), String>) -> Response<String> {
    match state {
        Ok(()) => text(StatusCode::OK, "ok\n".to_owned()),
        Err(missing) => text(StatusCode::SERVICE_UNAVAILABLE, missing),
    }
}

fn text(status: StatusCode, body: String) -> Response<String> {
    let mut response = of_kind("text/plain; charset=utf-8", body);
    *response.status_mut() = status;
    response
}

fn of_kind(kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
