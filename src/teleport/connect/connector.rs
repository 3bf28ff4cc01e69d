//! Dials: TCP, then TLS with the newest credentials on disk.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock;
use crate::config::TeleportSettings;
use crate::teleport::connect::stream::{AuthStream, LastAlert};
use crate::teleport::connect::tls;
use crate::teleport::identity::{Identity, IdentityError};

/// How far a connection got, and what stopped it.
#[derive(Debug, thiserror::Error)]
pub(in crate::teleport) enum ConnectError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{address} cannot be reached: {reason}")]
    Tcp { address: String, reason: String },
    #[error("{address} closed the connection at once, as a Proxy does that does not know the cluster {cluster}")]
    Closed { address: String, cluster: String },
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        address: String,
        reason: String,
        hint: &'static str,
    },
}

/// Returns what opens a connection each time it is called; the credentials are read anew each time.
pub(in crate::teleport) fn connector(
    settings: &TeleportSettings,
    patience: Duration,
    alert: &LastAlert,
) -> impl Fn() -> ConnectFuture + Clone + Send + 'static {
    let settings = Arc::new(settings.clone());
    let alert = alert.clone();
    move || {
        let (settings, alert) = (Arc::clone(&settings), alert.clone());
        Box::pin(async move {
            let stream = connect(&settings, patience).await?;
            Ok(TokioIo::new(AuthStream::new(stream, alert)))
        })
    }
}

type ConnectFuture = std::pin::Pin<Box<dyn Future<Output = Result<TokioIo<AuthStream>, ConnectError>> + Send>>;

async fn connect(settings: &TeleportSettings, patience: Duration) -> Result<TlsStream<TcpStream>, ConnectError> {
    let identity = Identity::load(&settings.credentials, clock::now()).await?;
    let address = if settings.host.contains(':') {
        format!("[{}]:{}", settings.host, settings.port)
    } else {
        format!("{}:{}", settings.host, settings.port)
    };
    let tcp = dial(settings, &address, patience).await?;
    let failed = |reason: String, hint| ConnectError::Tls {
        address: address.clone(),
        reason,
        hint,
    };
    let config = tls::config(&identity).map_err(|error| failed(error.to_string(), ""))?;
    let name = ServerName::try_from(tls::SERVER_NAME).expect("the name is a constant and valid");
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let stream = match timeout(patience, handshake).await {
        Err(_) => return Err(failed(format!("no answer within {patience:?}"), "")),
        Ok(Err(error)) => return Err(classify(&error, &address, &identity)),
        Ok(Ok(stream)) => stream,
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Ok(stream)
    } else {
        Err(failed("it does not offer h2".to_owned(), NOT_TELEPORT))
    }
}

async fn dial(settings: &TeleportSettings, address: &str, patience: Duration) -> Result<TcpStream, ConnectError> {
    let failed = |reason: String| ConnectError::Tcp {
        address: address.to_owned(),
        reason,
    };
    let stream = match timeout(patience, TcpStream::connect((settings.host.as_str(), settings.port))).await {
        Err(_) => return Err(failed(format!("no answer within {patience:?}"))),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Ok(Ok(stream)) => stream,
    };
    // Small messages must not wait for each other; without it a card would only come a little later.
    stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    Ok(stream)
}

const NOT_TELEPORT: &str =
    "is addr the Auth Service or the Proxy of this cluster, with nothing before it that ends TLS?";

/// Says what a failed handshake means.
fn classify(error: &io::Error, address: &str, identity: &Identity) -> ConnectError {
    let failed = |reason: String, hint| ConnectError::Tls {
        address: address.to_owned(),
        reason,
        hint,
    };
    let Some(tls_error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                ConnectError::Closed {
                    address: address.to_owned(),
                    cluster: identity.cluster.clone(),
                }
            }
            _ => failed(error.to_string(), ""),
        };
    };
    match tls_error {
        // A bad signature is an authority of the same name with another key.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => failed(
            format!("its certificate is not from an authority of {}", identity.cluster),
            NOT_TELEPORT,
        ),
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => failed(
            other.0.to_string(),
            "sign an identity for the cluster that addr leads to",
        ),
        rustls::Error::InvalidCertificate(error) => failed(format!("its certificate cannot be used: {error}"), ""),
        rustls::Error::AlertReceived(alert) => failed(format!("it sent the alert {alert:?}"), NOT_TELEPORT),
        rustls::Error::InvalidMessage(_) => failed("it does not speak TLS".to_owned(), NOT_TELEPORT),
        error => failed(error.to_string(), ""),
    }
}

impl ConnectError {
    /// Tells whether a new file, and nothing else, would help.
    pub(in crate::teleport) fn is_credentials(&self) -> bool {
        matches!(self, Self::Identity(_))
    }

    pub(in crate::teleport) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Identity(error) => error.remedy(),
            Self::Tcp { .. } => "check [teleport] addr, and that this machine may reach it",
            Self::Closed { .. } => "check that addr is the Proxy of that cluster, and that its Auth Service is up",
            Self::Tls { hint, .. } => hint,
        };
        Some(hint.to_owned()).filter(|hint| !hint.is_empty())
    }
}
