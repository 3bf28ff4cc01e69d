//! Detects a load balancer that ends TLS, and opens a WebSocket through it.

use std::io;
use std::time::Duration;

use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderName, Request, Response, StatusCode};
use rustls::{AlertDescription, PeerMisbehaved};
use tokio::time::timeout;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use crate::config::HostPort;
use crate::teleport::connect::dial::Dialer;
use crate::teleport::connect::http_upgrade;
use crate::teleport::connect::route::{Failure, Next};
use crate::teleport::connect::stream::{BoxStream, tls_error};
use crate::teleport::connect::web_tls;
use crate::teleport::connect::websocket::WebSocket;

/// A protocol that every Proxy's router knows and no load balancer does.
const PROXY_PROTOCOL: &str = "teleport-reversetunnel";

/// The one sub-protocol we offer. With it the Proxy sends pings, so that no device on the path drops the connection as
/// idle.
const SUB_PROTOCOL: &str = "alpn-ping";

const PATH: &str = "/webapi/connectionupgrade";

/// What answers at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The Proxy itself.
    Proxy,
    /// A load balancer that ends TLS and does not know the Proxy's protocols.
    Balancer,
    Unknown,
}

/// Detects whether a load balancer ends TLS, as Teleport's own clients do, but without verifying certificates: a
/// balancer with an untrusted certificate is still one, and the connection itself reports the certificate later.
pub(super) async fn detect_peer(address: &HostPort, dialer: &Dialer) -> Peer {
    let asked = async {
        let stream = dialer.dial(address).await.ok()?;
        let asked = timeout(dialer.patience, web_tls::ask(&address.host, PROXY_PROTOCOL, stream));
        asked.await.ok()
    };
    match asked.await {
        None => Peer::Unknown,
        Some(Ok(Some(_))) => Peer::Proxy,
        Some(Ok(None)) => Peer::Balancer,
        Some(Err(error)) => match tls_error(&error) {
            Some(
                rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
                | rustls::Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol),
            ) => Peer::Balancer,
            _ => Peer::Unknown,
        },
    }
}

/// Opens a stream to the Proxy behind a load balancer.
pub(super) async fn open(address: &HostPort, dialer: &Dialer) -> Result<BoxStream, Failure> {
    let stream = dialer.dial(address).await?;
    let patience: Duration = dialer.patience;
    let doing = format!("TLS with {address}, for the public web");
    let tls = match timeout(patience, dialer.web.handshake(&address.host, stream)).await {
        Err(_) => return Err(Failure::late(&doing, patience)),
        Ok(Err(error)) => {
            let hint = hint!(
                "Install the certificate authority of the load balancer on this machine, or set SSL_CERT_FILE to its file"
            );
            return Err(Failure::new(format!("{doing}: {error}"), hint, Next::Report));
        }
        Ok(Ok(tls)) => tls,
    };
    let doing = format!("{address} does not accept the WebSocket");
    match timeout(patience, ask(Box::new(tls), address)).await {
        Err(_) => Err(Failure::late(&doing, patience)),
        Ok(Err(error)) => {
            let hint = hint!("Allow WebSockets on the load balancer; they must reach a Proxy of version 15.1 or newer");
            Err(Failure::new(format!("{doing}: {error}"), hint, Next::Report))
        }
        Ok(Ok(stream)) => Ok(Box::new(WebSocket::new(stream))),
    }
}

async fn ask(stream: BoxStream, address: &HostPort) -> io::Result<BoxStream> {
    let key = generate_key();
    let request = Request::get(PATH)
        .header(HOST, address.to_string())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_PROTOCOL, SUB_PROTOCOL)
        .header(SEC_WEBSOCKET_KEY, key.as_str())
        .body(String::new())
        .map_err(io::Error::other)?;
    let (response, stream) = http_upgrade::exchange(stream, request).await?;
    let refused = |text: String| Err(io::Error::other(text));
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {}
        StatusCode::NOT_FOUND => return refused("it does not serve this path (404)".to_owned()),
        status => return refused(format!("it answered {status}")),
    }
    let expected = [
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_PROTOCOL, SUB_PROTOCOL),
        (SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()).as_str()),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    for (name, value) in expected {
        let given = header(&response, &name);
        // Only the value of `Upgrade` is case-insensitive.
        let agrees = if name == UPGRADE {
            given.eq_ignore_ascii_case(&value)
        } else {
            given == value
        };
        if !agrees {
            return refused(format!("its answer has a wrong {name}"));
        }
    }
    stream.ok_or_else(|| io::Error::other("it accepted the upgrade but closed the connection"))
}

fn header<'a>(response: &'a Response<()>, name: &HeaderName) -> &'a str {
    let value = response.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::join;

    use super::*;

    /// Answers an upgrade request with these headers, and returns the result.
    async fn asked(headers: &str) -> io::Result<BoxStream> {
        let (ours, mut theirs) = duplex(2_048);
        let address = HostPort {
            host: "teleport.test".to_owned(),
            port: 443,
        };
        let answering = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
            assert_eq!(key.unwrap().len(), 24, "16 bytes in base64");
            let text = format!("HTTP/1.1 101 Switching Protocols\r\n{headers}\r\n\r\n");
            theirs.write_all(text.as_bytes()).await.unwrap();
            theirs
        };
        let (asked, _theirs) = join!(ask(Box::new(ours), &address), answering);
        asked
    }

    #[tokio::test]
    async fn up_5_an_agreement_must_match_the_request() {
        let wrong_accept = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: alpn-ping\r\n\
                            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        for (headers, part) in [
            ("Connection: Upgrade\r\nUpgrade: alpn-ping", "wrong upgrade"),
            (
                "Connection: Upgrade\r\nUpgrade: websocket",
                "wrong sec-websocket-protocol",
            ),
            (
                "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Protocol: alpn",
                "wrong sec-websocket-protocol",
            ),
            (wrong_accept, "wrong sec-websocket-accept"),
        ] {
            let error = asked(headers).await.err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
