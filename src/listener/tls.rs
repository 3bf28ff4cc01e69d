//! The certificate of a port, which can be replaced while the port is open.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::{fmt, fs, io};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate with its key. Clones share it, so that a replacement is used by every later handshake.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Current>);

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// Why a certificate cannot be used. Contains nothing of the key.
#[derive(Debug)]
pub enum CertificateError {
    /// A file cannot be read.
    Unreadable(String, io::Error),
    /// A file contains no certificate or no key in PEM form, or one that cannot be used.
    Invalid(String, &'static str),
    /// The key does not belong to the certificate.
    OtherKey,
}

impl Certificate {
    /// Reads a certificate with its chain and its key from two PEM files, which may be the same. Blocks while it reads.
    ///
    /// # Errors
    /// A file cannot be read, or they do not contain a certificate with its key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        Ok(Self(Arc::new(Current(RwLock::new(Arc::new(load(certificate, key)?))))))
    }

    /// Uses the certificate of `renewed` for every later handshake. Returns whether it is another one.
    pub fn replace(&self, renewed: &Self) -> bool {
        let renewed = renewed.current();
        let mut current = self.0.0.write().unwrap_or_else(PoisonError::into_inner);
        let differs = current.cert != renewed.cert;
        *current = renewed;
        differs
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.0.current()
    }

    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        // TLS 1.2 and 1.3, which every provider supports.
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.expect("the provider has cipher suites for both versions");
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&self.0);
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl Current {
    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| invalid(certificate, "contains no certificate in PEM form"))?;
    let key_der = PrivateKeyDer::from_pem_slice(&read(key)?);
    let key_der = key_der.map_err(|_| invalid(key, "contains no private key in PEM form"))?;
    let signer = ring::sign::any_supported_type(&key_der);
    let signer = signer.map_err(|_| invalid(key, "contains a key that is neither RSA, ECDSA nor Ed25519"))?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::OtherKey),
        Err(_) => Err(invalid(certificate, "contains a certificate that cannot be decoded")),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(file).map_err(|error| CertificateError::Unreadable(file.display().to_string(), error))
}

fn invalid(file: &Path, why: &'static str) -> CertificateError {
    CertificateError::Invalid(file.display().to_string(), why)
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, error) => write!(f, "could not read {file}: {error}"),
            Self::Invalid(file, why) => write!(f, "{file} {why}"),
            Self::OtherKey => f.write_str("the private key does not belong to the certificate"),
        }
    }
}

impl std::error::Error for CertificateError {}
