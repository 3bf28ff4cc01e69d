//! The port: TLS like that of the Auth Service, and connections that can be closed immediately.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::cluster::Cluster;
use crate::cluster::frames::Pings;
use crate::cluster::gateway::Gateway;
use crate::cluster::service::AuthService;
use crate::proto::auth_service_server::AuthServiceServer;
use crate::teleport::accesslist::v1::access_list_service_server::AccessListServiceServer;
use crate::teleport::accessmonitoringrules::v1::access_monitoring_rules_service_server::AccessMonitoringRulesServiceServer;
use crate::teleport::userloginstate::v1::user_login_state_service_server::UserLoginStateServiceServer;
use crate::teleport::users::v1::users_service_server::UsersServiceServer;

/// Number of connections that may wait to be served after their handshake.
const WAITING: usize = 16;

/// The TLS properties of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub server_name: Option<String>,
    pub protocols: Vec<String>,
    /// Number of certificates that the client sent; zero if the handshake failed.
    pub certificates: usize,
    /// The certificate itself.
    pub certificate: Option<Vec<u8>>,
    /// The client resumed a session with a ticket and sent no certificate.
    pub resumed: bool,
}

/// The peer of a call.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) certificates: usize,
    /// The user in its certificate.
    pub(super) user: String,
}

/// A port that stays reserved while the cluster is down, so that no other connection on the machine uses it.
///
/// The socket is bound and never listens: connections are refused unless another socket listens on the port.
pub(super) struct Reserved(TcpSocket);

impl Reserved {
    pub(super) fn new() -> io::Result<Self> {
        bind(0).map(Self)
    }

    pub(super) fn number(&self) -> u16 {
        self.0.local_addr().expect("a bound socket has an address").port()
    }

    /// Opens the port until the listener is dropped.
    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        bind(self.number())?.listen(128)
    }
}

fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Two sockets can bind the same port if both allow it and neither listens yet.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

/// Serves until `running` is cancelled, which also closes every connection.
pub(super) fn serve(cluster: Cluster, listener: TcpListener, running: CancellationToken) {
    let (sender, connections) = mpsc::channel(WAITING);
    let service = AuthService::new(cluster.clone());
    let (gateway, stopped) = (Gateway(cluster.clone()), running.clone().cancelled_owned());
    crate::spawn(async move {
        let incoming = ReceiverStream::new(connections);
        let server = Server::builder()
            .layer(gateway)
            .add_service(AccessMonitoringRulesServiceServer::new(service.clone()))
            .add_service(UserLoginStateServiceServer::new(service.clone()))
            .add_service(UsersServiceServer::new(service.clone()))
            .add_service(AccessListServiceServer::new(service.clone()))
            .add_service(AuthServiceServer::new(service));
        // It ends with an error when a stop closes its connections, which is expected.
        let _ = server.serve_with_incoming_shutdown(incoming, stopped).await;
    });
    crate::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = running.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                return;
            };
            let (cluster, sender, running) = (cluster.clone(), sender.clone(), running.clone());
            crate::spawn(async move {
                tokio::select! {
                    () = running.cancelled() => {}
                    connection = handshake(cluster, stream, running.clone()) => {
                        if let Ok(connection) = connection {
                            // The server may have stopped and dropped the receiver.
                            let _ = sender.send(Ok::<_, io::Error>(connection)).await;
                        }
                    }
                }
            });
        }
    });
}

async fn handshake(cluster: Cluster, stream: TcpStream, running: CancellationToken) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    let hello = start.client_hello();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut hello = Hello {
        server_name: hello.server_name().map(str::to_owned),
        protocols: hello.alpn().into_iter().flatten().map(text).collect(),
        certificates: 0,
        certificate: None,
        resumed: false,
    };
    let accepted = start.into_stream(cluster.tls()).await;
    if let Ok(stream) = &accepted {
        let session = stream.get_ref().1;
        hello.certificates = session.peer_certificates().map_or(0, <[_]>::len);
        hello.certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|first| first.to_vec());
        hello.resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    }
    let peer = Peer {
        certificates: hello.certificates,
        user: hello.certificate.as_deref().and_then(user).unwrap_or_default(),
    };
    let (cut_at_expiry, cut_after) = {
        let faults = &cluster.state().faults;
        (faults.cut_at_expiry, faults.cut_after)
    };
    let life = match &hello.certificate {
        Some(certificate) if cut_at_expiry => life(certificate),
        _ => cut_after.unwrap_or(Duration::MAX),
    };
    cluster.change(|state| state.hellos.push(hello));
    let watched = cluster.clone();
    Ok(Connection {
        stream: accepted?,
        closed: Box::pin(async move {
            if timeout(life, running.cancelled_owned()).await.is_err() {
                cluster.change(|state| state.cut += 1);
            }
        }),
        peer,
        cluster: watched,
        pings: Pings::new(),
        last: None,
        strikes: 0,
    })
}

/// Returns the user of a certificate.
fn user(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

/// Returns how long a certificate is still valid.
fn life(certificate: &[u8]) -> Duration {
    let parsed = x509_parser::parse_x509_certificate(certificate).ok();
    let end = parsed.map_or(0, |(_, certificate)| certificate.validity().not_after.timestamp());
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(end.try_into().unwrap_or_default());
    end.duration_since(crate::now()).unwrap_or_default()
}

/// A connection that breaks when the cluster stops.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    peer: Peer,
    cluster: Cluster,
    pings: Pings,
    /// When the last ping arrived, and how many arrived too early.
    last: Option<Instant>,
    strikes: u32,
}

impl Connection {
    /// Closes the connection of a client that pings too often, as Go's servers do, after the third time.
    fn check_pings(&mut self, bytes: &[u8]) -> io::Result<()> {
        let pings = self.pings.count(bytes);
        if pings == 0 {
            return Ok(());
        }
        let minimum = self.cluster.change(|state| {
            state.pings += pings;
            state.faults.ping_minimum
        });
        let too_soon = self
            .last
            .replace(Instant::now())
            .is_some_and(|last| last.elapsed() < minimum);
        self.strikes += u32::from(too_soon || pings > 1);
        if self.strikes > 2 && minimum > Duration::ZERO {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.check_pings(&buffer.filled()[before..]))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
