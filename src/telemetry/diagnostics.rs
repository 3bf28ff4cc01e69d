//! The port for machines that watch over this one: `/livez`, `/readyz` and `/metrics`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::config::HostPort;
use crate::telemetry::error::Error;
use crate::telemetry::health::Health;
use crate::telemetry::metrics;
use crate::telemetry::metrics::Metrics;

/// Connections at once; a probe takes one for a moment.
const CONNECTIONS: usize = 16;

/// A connection that asks nothing is closed after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait when the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// An open port that answers once it is served.
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
    /// Somebody else has it, or the address is not of this machine.
    pub async fn open(address: &HostPort, health: &Health, metrics: &Metrics) -> Result<Self, Error> {
        let listener = TcpListener::bind((address.host.as_str(), address.port)).await;
        Ok(Self {
            listener: listener.map_err(|cause| Error::port(address, cause))?,
            health: health.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Where it listens, with the port that the system chose if it was to choose.
    pub fn address(&self) -> String {
        let address = self.listener.local_addr();
        address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// Answers for ever. `spawn` runs each connection beside the others.
    pub async fn serve(self, spawn: impl Fn(Connection)) -> Infallible {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                sleep(NO_ROOM).await;
                continue;
            };
            let Ok((stream, _)) = self.listener.accept().await else {
                sleep(NO_ROOM).await;
                continue;
            };
            let (health, metrics) = (self.health.clone(), self.metrics.clone());
            spawn(Box::pin(async move {
                let service = service_fn(|request| {
                    let answer = answer(&request, &health, &metrics);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // Whoever hangs up early has lost interest.
                let _ = timeout(PATIENCE, connection).await;
                drop(permit);
            }));
        }
    }
}

/// One connection, until it ends.
pub type Connection = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn answer(request: &Request<Incoming>, health: &Health, metrics: &Metrics) -> Response<String> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".to_owned());
    }
    match request.uri().path() {
        "/livez" => state(health.live()),
        "/readyz" => state(health.ready()),
        "/metrics" => {
            let mut response = Response::new(metrics.text());
            let kind = http::HeaderValue::from_static(metrics::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "ask for /livez, /readyz or /metrics\n".to_owned(),
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
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
