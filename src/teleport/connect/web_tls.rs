//! TLS with load balancers and proxies on the path, which have certificates for the public web.

use std::fs::File;
use std::io;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::blocking::apart;
use crate::teleport::connect::stream::{BoxStream, tls_error};
use crate::teleport::connect::tls::{is_unknown_authority, provider};

/// Opens sessions that trust the authorities of this machine, never those of the cluster.
#[derive(Clone, Debug)]
pub(super) struct WebTls {
    /// A file that replaces the system's authorities.
    authorities: Option<PathBuf>,
    /// Loaded once, when first needed: loading takes a while, and most connections do not need it.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl WebTls {
    pub(super) fn new(authorities: Option<PathBuf>) -> Self {
        Self {
            authorities,
            config: Arc::default(),
        }
    }

    /// Opens a session with a host and verifies its name.
    pub(super) async fn handshake(&self, host: &str, stream: BoxStream) -> io::Result<TlsStream<BoxStream>> {
        let config = if let Some(config) = self.config.get() {
            Arc::clone(config)
        } else {
            let this = self.clone();
            let config = Arc::new(apart(move || this.trusting()).await?);
            Arc::clone(self.config.get_or_init(|| config))
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let opened = TlsConnector::from(config).connect(name, stream).await;
        opened.map_err(|error| match tls_error(&error) {
            Some(Error::InvalidCertificate(error)) if is_unknown_authority(error) => {
                io::Error::other("its certificate is not from a certificate authority that this machine trusts")
            }
            Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
                io::Error::other(format!("its certificate is invalid: {}", other.0))
            }
            _ => error,
        })
    }

    fn trusting(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.authorities {
            let failed = |error: &dyn std::fmt::Display| {
                let text = format!(
                    "could not read the certificate authorities in {}: {error}",
                    path.display()
                );
                io::Error::other(text)
            };
            let file = File::open(path).map_err(|error| failed(&error))?;
            for authority in CertificateDer::pem_reader_iter(BufReader::new(file)) {
                let authority = authority.map_err(|error| failed(&error))?;
                roots.add(authority).map_err(|error| failed(&error))?;
            }
        } else {
            // Some systems have authorities that cannot be parsed; the others suffice.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(io::Error::other("this machine has no certificate authorities"));
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config)
    }
}

/// Offers one protocol, accepts any certificate, and returns the selected protocol. For detecting what answers, never
/// for sending data.
pub(super) async fn ask(host: &str, protocol: &str, stream: BoxStream) -> io::Result<Option<Vec<u8>>> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAny(provider())))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
}

/// Accepts every certificate. Nothing is sent over such a session.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
