//! A pretend Proxy: reads the first bytes of a connection, and forwards everything to the cluster that they name.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::cluster::Cluster;
use crate::port::{listen, serve};
use crate::web::WebAuthority;

/// Interval of a Proxy's pings with `alpn-ping`; the real one is 30 s.
const PING_EVERY: Duration = Duration::from_millis(100);

/// How long a test waits for an expected event.
const PATIENCE: Duration = Duration::from_secs(20);

/// The web port of a Proxy with TLS routing, which forwards the cluster's traffic without decrypting it.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    address: String,
    /// The same web handler without TLS, for a load balancer in front.
    behind: String,
    cluster: String,
    knows: String,
    web: WebAuthority,
    seen: watch::Sender<Seen>,
}

/// What the Proxy has seen, and its faults.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The protocols of each `ClientHello`.
    pub protocols: Vec<Vec<String>>,
    /// The head of each upgrade request, as lines.
    pub upgrades: Vec<Vec<String>>,
    /// Number of pongs that repeat the payload of our ping.
    pub pongs: usize,
    /// Answers every upgrade request with this status.
    pub refuse_upgrades: Option<u16>,
}

impl Proxy {
    /// Starts a Proxy of this cluster.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(cluster: &Cluster) -> Self {
        let name = cluster.authority().cluster.clone();
        Self::start_for(cluster, &name).await
    }

    /// Starts a Proxy that knows one cluster, under this name.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start_for(cluster: &Cluster, knows: &str) -> Self {
        let (front, address) = listen().await;
        let (back, behind) = listen().await;
        let proxy = Self(Arc::new(Inner {
            address,
            behind,
            cluster: cluster.address(),
            knows: knows.to_owned(),
            web: WebAuthority::new(),
            seen: watch::Sender::default(),
        }));
        let this = proxy.clone();
        serve(front, move |stream| {
            let this = this.clone();
            async move { this.route(stream).await }
        });
        let this = proxy.clone();
        serve(back, move |stream| {
            let this = this.clone();
            async move { this.upgrade(stream).await }
        });
        proxy
    }

    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Returns the address of the web handler for a load balancer.
    pub fn behind(&self) -> &str {
        &self.0.behind
    }

    pub fn seen(&self) -> Seen {
        self.0.seen.borrow().clone()
    }

    #[expect(clippy::missing_panics_doc, reason = "it never panics: the change is always made")]
    pub fn seen_mut<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let mut result = None;
        self.0.seen.send_modify(|seen| result = Some(change(seen)));
        result.expect("the change was just made")
    }

    /// Waits until the condition holds.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until(&self, condition: impl Fn(&Seen) -> bool) {
        let mut seen = self.0.seen.subscribe();
        let waited = timeout(PATIENCE, seen.wait_for(condition)).await;
        assert!(waited.is_ok(), "the Proxy never reached this state: {:?}", self.seen());
    }

    async fn route(&self, stream: TcpStream) -> io::Result<()> {
        let mut hello = vec![0; 16_384];
        let protocols = loop {
            // The bytes are only peeked, so that the cluster gets them too.
            let length = stream.peek(&mut hello).await?;
            if length == 0 || hello[0] != 0x16 {
                return Ok(());
            }
            match protocols(&hello[..length]) {
                Some(protocols) => break protocols,
                None if length == hello.len() => return Ok(()),
                None => tokio::task::yield_now().await,
            }
        };
        self.seen_mut(|seen| seen.protocols.push(protocols.clone()));
        match protocols.first().map(String::as_str) {
            Some(first) if first.starts_with("teleport-auth@") => self.pass_on(stream, first).await,
            Some(first @ ("teleport-reversetunnel" | "http/1.1" | "h2")) => {
                let stream = TlsAcceptor::from(self.0.web.server_config(&[first]))
                    .accept(stream)
                    .await?;
                self.upgrade(stream).await
            }
            Some(_) => Ok(()),
            None => {
                let stream = TlsAcceptor::from(self.0.web.server_config(&[])).accept(stream).await?;
                self.upgrade(stream).await
            }
        }
    }

    /// Connects to the cluster, if it is the one that this Proxy knows.
    async fn pass_on(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, protocol: &str) -> io::Result<()> {
        if !self.is_ours(protocol) {
            return Ok(());
        }
        let mut onward = TcpStream::connect(&self.0.cluster).await?;
        onward.set_nodelay(true)?;
        copy_bidirectional(&mut stream, &mut onward).await?;
        Ok(())
    }

    fn is_ours(&self, protocol: &str) -> bool {
        let hex = protocol
            .strip_prefix("teleport-auth@")
            .and_then(|rest| rest.strip_suffix(".teleport.cluster.local"));
        hex.and_then(decode).as_deref() == Some(self.0.knows.as_bytes())
    }

    /// Answers `GET /webapi/connectionupgrade`, and routes the stream inside.
    #[expect(clippy::result_large_err, reason = "the library's own signature")]
    async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<()> {
        let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let headers = request.headers();
            let mut head = vec![format!("{} {}", request.method(), request.uri())];
            head.extend(
                headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?"))),
            );
            let refused = self.seen_mut(|seen| {
                seen.upgrades.push(head);
                seen.refuse_upgrades
            });
            let refuse = |status: u16| {
                let mut response = ErrorResponse::new(Some("no".to_owned()));
                *response.status_mut() = status.try_into().expect("a status has three digits");
                Err(response)
            };
            if let Some(status) = refused {
                return refuse(status);
            }
            let offered = headers.get("sec-websocket-protocol").cloned();
            match offered {
                Some(offered) if offered == "alpn-ping" && request.uri() == "/webapi/connectionupgrade" => {
                    response.headers_mut().insert("sec-websocket-protocol", offered);
                    Ok(response)
                }
                Some(_) | None => refuse(404),
            }
        };
        let socket = accept_hdr_async(stream, check).await.map_err(io::Error::other)?;
        let (mut sender, mut receiver) = socket.split();
        let mut hello = Vec::new();
        let protocols = loop {
            match receiver.next().await {
                Some(Ok(Message::Binary(bytes))) => hello.extend_from_slice(&bytes),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(()),
            }
            if let Some(protocols) = protocols(&hello) {
                break protocols;
            }
        };
        if !protocols.first().is_some_and(|first| self.is_ours(first)) {
            return Ok(());
        }
        let mut onward = TcpStream::connect(&self.0.cluster).await?;
        onward.set_nodelay(true)?;
        onward.write_all(&hello).await?;
        let (mut reader, mut writer) = onward.split();
        let mut buffer = vec![0; 16_384];
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = receiver.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => writer.write_all(&bytes).await?,
                    Some(Ok(Message::Pong(text))) if text == "teleport" => self.seen_mut(|seen| seen.pongs += 1),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ok(()),
                },
                length = reader.read(&mut buffer) => match length? {
                    0 => return Ok(()),
                    length => {
                        let message = Message::binary(buffer[..length].to_vec());
                        sender.send(message).await.map_err(io::Error::other)?;
                    }
                },
                _ = pings.tick() => {
                    sender.send(Message::Ping("teleport".into())).await.map_err(io::Error::other)?;
                }
            }
        }
    }
}

fn decode(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Reads the protocols that a `ClientHello` offers; `None` while it is incomplete.
fn protocols(bytes: &[u8]) -> Option<Vec<String>> {
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut io::Cursor::new(bytes)).ok()?;
    let accepted = acceptor.accept().ok()??;
    let hello = accepted.client_hello();
    let offered = hello.alpn().into_iter().flatten();
    Some(
        offered
            .map(|protocol| String::from_utf8_lossy(protocol).into_owned())
            .collect(),
    )
}
