//! The TLS session with the Auth Service. The Proxy in front of it only forwards the session.

use std::fmt::Write as _;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::Error;
use rustls::OtherError;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;

use crate::teleport::identity::{Identity, cluster_of};

/// The name in the certificate of every Auth Service.
pub(super) const SERVER_NAME: &str = "teleport.cluster.local";

/// Builds a session for this identity, which trusts only its authorities and always sends its certificate.
///
/// The Proxy routes by the first protocol in the offer and reads the name of the cluster from it; the Auth Service
/// ignores that one and selects `h2`. Sessions are never resumed, so that a renewed certificate takes effect.
pub(super) fn config(identity: &Identity) -> Result<ClientConfig, Error> {
    let provider = provider();
    let mut roots = RootCertStore::empty();
    for authority in &identity.authorities {
        roots.add(authority.clone())?;
    }
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let verifier = OurCluster {
        chain,
        cluster: identity.cluster.clone(),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysOurs(Arc::clone(&identity.key))));
    config.alpn_protocols = vec![protocol(&identity.cluster).into_bytes(), b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Returns the crypto provider of the program.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Returns whether a certificate was not signed by a trusted authority. A bad signature means an authority with the
/// same name but another key.
pub(super) fn is_unknown_authority(error: &CertificateError) -> bool {
    matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature)
}

/// Returns the name of the cluster in the form that a Proxy's router reads:
/// `teleport-auth@<hex>.teleport.cluster.local`.
fn protocol(cluster: &str) -> String {
    let mut protocol = "teleport-auth@".to_owned();
    for byte in cluster.bytes() {
        write!(protocol, "{byte:02x}").expect("writing to a string never fails");
    }
    protocol.push('.');
    protocol.push_str(SERVER_NAME);
    protocol
}

/// Verifies the chain as usual, and then that the server belongs to our cluster: an identity also trusts the
/// authorities of leaf clusters, whose services have the same name.
#[derive(Debug)]
struct OurCluster {
    chain: Arc<WebPkiServerVerifier>,
    cluster: String,
}

impl ServerCertVerifier for OurCluster {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .chain
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let failed = |error| Error::InvalidCertificate(CertificateError::Other(OtherError(error)));
        let unknown_authority =
            matches!(&verified, Err(Error::InvalidCertificate(error)) if is_unknown_authority(error));
        match cluster_of(end_entity) {
            // An untrusted certificate proves nothing, but its cluster name makes the error clearer.
            Some(theirs) if theirs != self.cluster && (unknown_authority || verified.is_ok()) => {
                let ours = self.cluster.clone();
                Err(failed(Arc::new(OtherCluster { ours, theirs })))
            }
            Some(cluster) if unknown_authority => Err(failed(Arc::new(NewAuthority { cluster }))),
            Some(_) | None => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// The server's certificate belongs to another cluster, whether or not it is valid.
#[derive(Debug, thiserror::Error)]
#[error("the server belongs to the cluster {theirs}, the identity to {ours}")]
pub(super) struct OtherCluster {
    ours: String,
    theirs: String,
}

/// The server claims to belong to our cluster, but no authority in the identity signed its certificate.
#[derive(Debug, thiserror::Error)]
#[error("its certificate is not from a CA of {cluster} that the identity file contains")]
pub(super) struct NewAuthority {
    cluster: String,
}

/// Always sends our certificate, whichever authorities the server lists, as Teleport's own client does.
#[derive(Debug)]
struct AlwaysOurs(Arc<CertifiedKey>);

impl ResolvesClientCert for AlwaysOurs {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_cluster_is_in_hexadecimal() {
        assert_eq!(protocol("root"), "teleport-auth@726f6f74.teleport.cluster.local");
        assert_eq!(
            protocol("example.com"),
            "teleport-auth@6578616d706c652e636f6d.teleport.cluster.local"
        );
        assert_eq!(protocol(&"x".repeat(40)).len(), 37 + 80);
    }
}
