//! The TLS session with the Auth Service, and what its failure means.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, PeerMisbehaved};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::HostPort;
use crate::teleport::connect::route::{Failure, Next};
use crate::teleport::connect::stream::{BoxStream, tls_error};
use crate::teleport::connect::tls;
use crate::teleport::connect::tls::{NewAuthority, OtherCluster, is_unknown_authority};
use crate::teleport::identity::Identity;

const NOT_TELEPORT: &str = hint!("Set `[teleport] addr` to the Auth Service or the Proxy of this cluster");
const CLOSED: &str =
    hint!("Check that `[teleport] addr` is the Proxy of that cluster, and that its Auth Service is running");
const OTHER_CLUSTER: &str = hint!("Issue an identity of the cluster that `[teleport] addr` belongs to");
const ROTATED: &str = hint!(
    "Issue a new identity: the host CA of the cluster was most likely rotated; otherwise check that `[teleport] addr` is the right cluster"
);
pub(in crate::teleport) const REFUSED: &str =
    hint!("Issue a new identity of this cluster; its user CA may have been rotated");

/// Opens the session inside a stream to `address`.
pub(super) async fn handshake(
    identity: &Identity,
    stream: BoxStream,
    address: &HostPort,
    patience: Duration,
) -> Result<TlsStream<BoxStream>, Failure> {
    let doing = format!("TLS with {address} failed");
    let config = tls::config(identity)
        .map_err(|error| Failure::new(format!("{doing}: {error}"), hint!("Issue a new identity"), Next::Report))?;
    let name = ServerName::try_from(tls::SERVER_NAME).expect("the name is a constant and valid");
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = match timeout(patience, handshake).await {
        Err(_) => return Err(Failure::late(&doing, patience)),
        Ok(Err(error)) => return Err(classify(&error, address, identity)),
        Ok(Ok(stream)) => stream,
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Ok(stream)
    } else {
        let sentence = format!("{doing}: it does not offer h2");
        Err(Failure::new(sentence, NOT_TELEPORT, Next::Upgrade))
    }
}

/// Classifies a failed handshake, and returns whether a load balancer may be the cause.
fn classify(error: &io::Error, address: &HostPort, identity: &Identity) -> Failure {
    let cluster = &identity.cluster;
    let failed = |reason: String, hint, next| Failure::new(format!("TLS with {address} failed: {reason}"), hint, next);
    let Some(tls_error) = tls_error(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                let sentence = format!(
                    "{address} closed the connection immediately, as a Proxy of another cluster than {cluster} does"
                );
                Failure::new(sentence, CLOSED, Next::TestAndAskForSsh)
            }
            _ => failed(error.to_string(), "", Next::Report),
        };
    };
    match tls_error {
        rustls::Error::InvalidCertificate(error) if is_unknown_authority(error) => failed(
            format!("its certificate is not from a CA of {cluster}"),
            NOT_TELEPORT,
            Next::Test,
        ),
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<OtherCluster>() => {
            failed(other.0.to_string(), OTHER_CLUSTER, Next::Report)
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<NewAuthority>() => {
            failed(other.0.to_string(), ROTATED, Next::Report)
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            let reason = format!("its certificate is invalid: {}", other.0);
            failed(reason, NOT_TELEPORT, Next::Test)
        }
        rustls::Error::InvalidCertificate(error) => {
            let reason = format!("its certificate is invalid: {error}");
            failed(reason, NOT_TELEPORT, Next::Test)
        }
        rustls::Error::AlertReceived(alert) if is_about_our_certificate(*alert) => failed(
            format!("the server rejected the certificate of the identity ({alert:?})"),
            REFUSED,
            Next::Report,
        ),
        rustls::Error::AlertReceived(alert) => {
            let next = match alert {
                AlertDescription::NoApplicationProtocol => Next::Upgrade,
                _ => Next::Test,
            };
            failed(format!("it sent the alert {alert:?}"), NOT_TELEPORT, next)
        }
        rustls::Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            let reason = "it selected a protocol that was not offered".to_owned();
            failed(reason, NOT_TELEPORT, Next::Upgrade)
        }
        rustls::Error::InvalidMessage(_) => {
            failed("it does not speak TLS".to_owned(), NOT_TELEPORT, Next::TestAndAskForSsh)
        }
        error => failed(error.to_string(), NOT_TELEPORT, Next::Test),
    }
}

/// Returns whether an alert is about our certificate. With TLS 1.2 the server rejects it during the handshake, with TLS
/// 1.3 only afterwards.
fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate
    )
}
