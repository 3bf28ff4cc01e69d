//! The one TLS session that serves the Auth Service and, unseen, the Proxy in front of it.

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

/// The name that every Auth Service's certificate carries.
pub(super) const SERVER_NAME: &str = "teleport.cluster.local";

/// Builds a session for this identity: its authorities alone are trusted, its certificate is always sent.
///
/// The Proxy routes by the first protocol offered and reads the cluster's name from it; the Auth Service ignores that
/// one and takes `h2`. Sessions are never resumed, so that a renewed certificate is really used.
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

/// Returns the one crypto provider of the program.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Tells whether no authority that we trust signed a certificate. A bad signature is an authority of the same name with
/// another key.
pub(super) fn is_strangers(error: &CertificateError) -> bool {
    matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature)
}

/// Names the cluster in the way that a Proxy's router reads: `teleport-auth@<hex>.teleport.cluster.local`.
fn protocol(cluster: &str) -> String {
    let mut protocol = "teleport-auth@".to_owned();
    for byte in cluster.bytes() {
        write!(protocol, "{byte:02x}").expect("writing to a string never fails");
    }
    protocol.push('.');
    protocol.push_str(SERVER_NAME);
    protocol
}

/// Checks the chain as usual, and then that the server belongs to our cluster: an identity also trusts the authorities
/// of leaf clusters, whose services carry the same name.
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
        let is_strange = matches!(&verified, Err(Error::InvalidCertificate(error)) if is_strangers(error));
        match cluster_of(end_entity) {
            // What a stranger's certificate says is not proved, but says what is wrong.
            Some(theirs) if theirs != self.cluster && (is_strange || verified.is_ok()) => {
                let ours = self.cluster.clone();
                Err(failed(Arc::new(OtherCluster { ours, theirs })))
            }
            Some(cluster) if is_strange => Err(failed(Arc::new(NewAuthority { cluster }))),
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

/// The server's certificate is of another cluster, whether or not it is good.
#[derive(Debug, thiserror::Error)]
#[error("the server belongs to the cluster {theirs}, the identity to {ours}")]
pub(super) struct OtherCluster {
    ours: String,
    theirs: String,
}

/// The server says that it is of our cluster, and no authority signed that which the identity knows.
#[derive(Debug, thiserror::Error)]
#[error("its certificate is not from a CA of {cluster} that the identity file contains")]
pub(super) struct NewAuthority {
    cluster: String,
}

/// Sends our certificate whatever authorities the server asks for, as Teleport's own client does.
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
    fn the_cluster_is_named_in_hexadecimal() {
        assert_eq!(protocol("root"), "teleport-auth@726f6f74.teleport.cluster.local");
        assert_eq!(
            protocol("example.com"),
            "teleport-auth@6578616d706c652e636f6d.teleport.cluster.local"
        );
        assert_eq!(protocol(&"x".repeat(40)).len(), 37 + 80);
    }
}
