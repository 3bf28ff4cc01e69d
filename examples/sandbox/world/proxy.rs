//! A pretend Proxy: looks at the first bytes of a connection, and passes everything on to the cluster that they name.

use std::io;

use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::world;
use crate::world::cluster::Cluster;

/// The web port of a Proxy with TLS routing; it never shows a certificate of its own.
pub struct Proxy {
    address: String,
}

impl Proxy {
    /// Starts a proxy that knows one cluster by this name.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn start(cluster: &Cluster, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port can be had");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address")
            .to_string();
        let (to, name) = (cluster.address(), name.to_owned());
        world::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (to, name) = (to.clone(), name.clone());
                // A connection that breaks is its own end.
                world::spawn(async move { pass_on(stream, &to, &name).await.is_ok() });
            }
        });
        Self { address }
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

async fn pass_on(mut stream: TcpStream, to: &str, name: &str) -> io::Result<()> {
    let mut hello = vec![0; 16_384];
    let wanted = loop {
        // The bytes stay where they are, for the cluster.
        let length = stream.peek(&mut hello).await?;
        if length == 0 {
            return Ok(());
        }
        match first_protocol(&hello[..length]) {
            Some(protocol) => break protocol,
            None if length == hello.len() => return Ok(()),
            None => tokio::task::yield_now().await,
        }
    };
    let hex = wanted
        .strip_prefix("teleport-auth@")
        .and_then(|rest| rest.strip_suffix(".teleport.cluster.local"));
    if hex.and_then(decode).as_deref() != Some(name.as_bytes()) {
        return Ok(());
    }
    let mut onward = TcpStream::connect(to).await?;
    copy_bidirectional(&mut stream, &mut onward).await?;
    Ok(())
}

fn decode(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Reads the first protocol that a `ClientHello` offers; `None` while the hello is not complete.
fn first_protocol(bytes: &[u8]) -> Option<String> {
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut io::Cursor::new(bytes)).ok()?;
    let accepted = acceptor.accept().ok()??;
    let first = accepted.client_hello().alpn()?.next()?.to_vec();
    String::from_utf8(first).ok()
}
