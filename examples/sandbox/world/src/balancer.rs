//! A pretend load balancer: ends TLS with a certificate for the public web, and forwards the bytes inside.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::port::{listen, serve};
use crate::proxy::Proxy;
use crate::web::WebAuthority;

/// How a load balancer negotiates protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// Ignores ALPN and selects no protocol.
    Ignored,
    /// Rejects clients that do not offer `http/1.1`.
    Http11,
    /// Speaks HTTP/2 too.
    Both,
}

/// A load balancer in front of a Proxy.
pub struct Balancer {
    address: String,
}

impl Balancer {
    /// Starts a balancer that closes connections after `patience` without traffic.
    pub async fn start(proxy: &Proxy, authority: &WebAuthority, alpn: Alpn, patience: Duration) -> Self {
        let (listener, address) = listen().await;
        let protocols: &[&str] = match alpn {
            Alpn::Ignored => &[],
            Alpn::Http11 => &["http/1.1"],
            Alpn::Both => &["h2", "http/1.1"],
        };
        let acceptor = TlsAcceptor::from(authority.server_config(protocols));
        let behind = proxy.behind().to_owned();
        serve(listener, move |stream| {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            async move { pass_on(acceptor, stream, &behind, patience).await }
        });
        Self { address }
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, behind: &str, patience: Duration) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut onward = TcpStream::connect(behind).await?;
    onward.set_nodelay(true)?;
    let (mut inwards, mut outwards) = (vec![0; 16_384], vec![0; 16_384]);
    loop {
        let moved = async {
            tokio::select! {
                length = stream.read(&mut inwards) => Ok::<_, io::Error>((length?, 0)),
                length = onward.read(&mut outwards) => Ok((0, length?)),
            }
        };
        match timeout(patience, moved).await?? {
            (0, 0) => return Ok(()),
            (length, 0) => onward.write_all(&inwards[..length]).await?,
            (_, length) => stream.write_all(&outwards[..length]).await?,
        }
    }
}
