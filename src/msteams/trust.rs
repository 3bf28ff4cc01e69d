//! Verifies the certificates of Microsoft's hosts with the authorities of this machine.
//!
//! Architecture Invariant: rejects exactly what the verifier below it rejects; it only adds the issuer to the error.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate from an authority that this machine does not know.
#[derive(Debug)]
pub(crate) struct Untrusted {
    issuer: Option<String>,
}

/// Longest issuer to show; names are short.
const LONGEST_ISSUER: usize = 120;

/// Builds the TLS settings from the authorities of the system, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`; `None`
/// if there are none.
pub(crate) fn config() -> Option<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // Some systems have authorities that cannot be parsed; the others suffice.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = Naming(verifier.build().ok()?);
    let mut config = with(provider, verifier)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(config)
}

fn with(provider: Arc<CryptoProvider>, verifier: Naming) -> Option<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.ok()?.dangerous();
    let config = builder.with_custom_certificate_verifier(Arc::new(verifier));
    Some(config.with_no_client_auth())
}

/// Adds the issuer to the error for an unknown authority.
#[derive(Debug)]
struct Naming(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Naming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                let issuer = issuer(end_entity);
                let untrusted = OtherError(Arc::new(Untrusted { issuer }));
                Error::InvalidCertificate(CertificateError::Other(untrusted))
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Reads the issuer of a certificate, as text that is safe to log.
fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let text = certificate.issuer().to_string();
    let shown: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_ISSUER).collect();
    (!shown.is_empty()).then_some(shown)
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "issued by {issuer}"),
            None => f.write_str("its issuer is unknown"),
        }
    }
}

impl std::error::Error for Untrusted {}
