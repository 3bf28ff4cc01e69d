//! A port that serves HTTP: bounded in connections, time and bytes, with TLS if it has a certificate.
//!
//! Architecture Invariant: knows nothing of the program, and reads no body by itself. A client without proof of who it is
//! cannot displace one that the handler keeps.

mod tls;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

pub use tls::{Certificate, CertificateError};

/// The pause when the system cannot accept another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// What clients may use.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Open connections. Above it, one that is not kept is closed: the one that was opened, or was kept last, the longest ago.
    pub connections: usize,
    /// The longest wait for the TLS handshake, and for the head of each request.
    pub head: Duration,
    /// The longest lifetime of a connection. A request in progress is answered first.
    pub connection: Duration,
    /// The largest head of a request, in bytes; hyper allows no less than 8 KiB.
    pub head_bytes: usize,
    /// Whether a connection serves several requests.
    pub keep_alive: bool,
}

/// An open port, which answers while it is served.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    bounds: Bounds,
    tls: Option<Arc<ServerConfig>>,
}

/// One connection; the future ends with it.
pub type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The connection of a request, as its handler sees it.
#[derive(Clone, Debug)]
pub struct Place(Arc<Mutex<Use>>);

#[derive(Debug)]
struct Use {
    /// The number of requests that keep the connection.
    keepers: usize,
    /// When it was opened, or was kept last.
    since: Instant,
}

/// Keeps a connection open until it is dropped, however many others arrive.
#[derive(Debug)]
pub struct Kept(Place);

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    TooLarge,
    /// The client closed the connection, or was too slow.
    Incomplete,
}

impl Listener {
    /// Opens a port.
    ///
    /// # Errors
    /// The port is in use, or the address does not belong to this machine.
    pub async fn bind(host: &str, port: u16, bounds: Bounds) -> io::Result<Self> {
        Ok(Self {
            tcp: TcpListener::bind((host, port)).await?,
            bounds,
            tls: None,
        })
    }

    /// Serves HTTPS with this certificate instead of HTTP.
    #[must_use]
    pub fn with_certificate(mut self, certificate: &Certificate) -> Self {
        self.tls = Some(certificate.server_config());
        self
    }

    /// Returns the listen address, with the actual port if port 0 was requested.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until shutdown. `spawn` runs each connection as a task, and `answer` answers each request.
    pub async fn serve<F, A>(self, spawn: impl Fn(Connection), answer: F) -> Infallible
    where
        F: Fn(Request<Incoming>, Place) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<String>> + Send + 'static,
    {
        // Dropping the sender closes the connection.
        let mut open: Vec<(oneshot::Sender<Infallible>, Place)> = Vec::new();
        loop {
            let stream = match self.tcp.accept().await {
                Ok((stream, _)) => stream,
                // The client is gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    sleep(NO_ROOM).await;
                    continue;
                }
            };
            open.retain(|(connection, _)| !connection.is_closed());
            if open.len() >= self.bounds.connections {
                let idle = open.iter().enumerate();
                let idle = idle.filter_map(|(at, (_, place))| Some((place.idle_since()?, at)));
                match idle.min() {
                    Some((_, oldest)) => drop(open.swap_remove(oldest)),
                    // Every connection works for a client that has proved who it is.
                    None => continue,
                }
            }
            let (sender, closed) = oneshot::channel();
            let place = Place::new();
            open.push((sender, place.clone()));
            let (bounds, tls, answer) = (self.bounds, self.tls.clone(), answer.clone());
            spawn(Box::pin(async move {
                tokio::select! {
                    () = converse(stream, tls, bounds, place, answer) => {}
                    _ = closed => {}
                }
            }));
        }
    }
}

impl Place {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Use {
            keepers: 0,
            since: Instant::now(),
        })))
    }

    /// Keeps the connection while the request is answered.
    pub fn keep(&self) -> Kept {
        self.lock().keepers += 1;
        Kept(self.clone())
    }

    /// Returns since when nothing keeps the connection.
    fn idle_since(&self) -> Option<Instant> {
        let place = self.lock();
        (place.keepers == 0).then_some(place.since)
    }

    fn lock(&self) -> MutexGuard<'_, Use> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut place = self.0.lock();
        place.keepers -= 1;
        // The answer is yet to be sent.
        place.since = Instant::now();
    }
}

/// Reads a body of at most `most` bytes within `patience`.
///
/// # Errors
/// The body is too large, or did not arrive.
pub async fn read_body(mut body: Incoming, most: usize, patience: Duration) -> Result<Bytes, BodyError> {
    let size = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if size > most {
        return Err(BodyError::TooLarge);
    }
    let read = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > most {
                return Err(BodyError::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    };
    timeout(patience, read).await.unwrap_or(Err(BodyError::Incomplete))
}

/// Serves one connection. A client that fails or hangs up early needs no answer.
async fn converse<F, A>(stream: TcpStream, tls: Option<Arc<ServerConfig>>, bounds: Bounds, place: Place, answer: F)
where
    F: Fn(Request<Incoming>, Place) -> A,
    A: Future<Output = Response<String>>,
{
    let Some(tls) = tls else {
        return exchange(TokioIo::new(stream), bounds, place, answer).await;
    };
    if let Ok(Ok(stream)) = timeout(bounds.head, TlsAcceptor::from(tls).accept(stream)).await {
        exchange(TokioIo::new(stream), bounds, place, answer).await;
    }
}

async fn exchange<F, A>(stream: impl Read + Write + Unpin, bounds: Bounds, place: Place, answer: F)
where
    F: Fn(Request<Incoming>, Place) -> A,
    A: Future<Output = Response<String>>,
{
    let service = service_fn(|request| {
        let answer = answer(request, place.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .keep_alive(bounds.keep_alive)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    if timeout(bounds.connection, &mut connection).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(bounds.head, connection).await;
    }
}
