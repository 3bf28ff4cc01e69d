//! The HTTP port for probes and Prometheus: `/livez`, `/readyz` and `/metrics`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::config::HostPort;
use crate::telemetry::error::Error;
use crate::telemetry::health::Health;
use crate::telemetry::metrics;
use crate::telemetry::metrics::Metrics;

/// The number of open connections; a probe needs one for a moment. Above it, the oldest one is closed, so that idle
/// connections cannot block new ones.
const CONNECTIONS: usize = 32;

/// The longest wait for the head of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest lifetime of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes; the minimum that hyper allows.
const LARGEST_REQUEST: usize = 8 << 10;

/// The pause when the system cannot accept another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// An open port, which answers while it is served.
#[derive(Debug)]
pub struct Diagnostics {
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
}

impl Diagnostics {
    /// Opens the port.
    ///
    /// # Errors
    /// The port is in use, or the address does not belong to this machine.
    pub async fn open(address: &HostPort, health: &Health, metrics: &Metrics) -> Result<Self, Error> {
        let listener = TcpListener::bind((address.host.as_str(), address.port)).await;
        Ok(Self {
            listener: listener.map_err(|cause| Error::port(address, cause))?,
            health: health.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Returns the listen address, with the actual port if the configuration has port 0.
    pub fn address(&self) -> String {
        let address = self.listener.local_addr();
        address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// Serves until shutdown. `spawn` runs each connection as a task.
    pub async fn serve(self, spawn: impl Fn(Connection)) -> Infallible {
        // One sender for each open connection, oldest first; dropping it closes the connection.
        let mut open: VecDeque<oneshot::Sender<Infallible>> = VecDeque::new();
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                sleep(NO_ROOM).await;
                continue;
            };
            open.retain(|connection| !connection.is_closed());
            if open.len() >= CONNECTIONS {
                open.pop_front();
            }
            let (sender, closed) = oneshot::channel();
            open.push_back(sender);
            let (health, metrics) = (self.health.clone(), self.metrics.clone());
            spawn(Box::pin(async move {
                tokio::select! {
                    () = converse(stream, &health, &metrics) => {}
                    _ = closed => {}
                }
            }));
        }
    }
}

/// Returns the response to a request.
async fn converse(stream: TcpStream, health: &Health, metrics: &Metrics) {
    let service = service_fn(|request| {
        let answer = answer(&request, health, metrics);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(LARGEST_REQUEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that hangs up early needs no answer.
    let _ = timeout(CONNECTION_TIMEOUT, connection).await;
}

/// One connection; the future ends with it.
pub type Connection = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn answer(request: &Request<Incoming>, health: &Health, metrics: &Metrics) -> Response<String> {
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
