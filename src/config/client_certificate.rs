//! The certificate of the app with its key, which replaces a client secret.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::clock;
use crate::config::file::{Notes, Section};
use crate::config::secret_file::{Unusable, read};

/// Maximum size of the file in bytes. A chain with its key has a few thousand.
const LONGEST_FILE: u64 = 256 * 1024;

/// The certificate of the app, its key, and the file that holds both.
///
/// Contains only an RSA key that belongs to the certificate: Entra accepts no other algorithm.
#[derive(Clone)]
pub struct ClientCertificate {
    file: PathBuf,
    certificate: CertificateDer<'static>,
    key: Arc<dyn SigningKey>,
    not_before: Timestamp,
    not_after: Timestamp,
}

pub(super) const HINT: &str = hint!(
    "Set it to the path of a PEM file with the private key (RSA, not encrypted) and the certificate of the app registration"
);

/// Reads the certificate that the key names, or records why it cannot be used.
pub(super) fn client_certificate(section: &mut Section<'_>, notes: &mut Notes) -> Option<ClientCertificate> {
    let text = section.string("client_certificate", notes)?;
    let key = section.key("client_certificate");
    if !text.starts_with('/') {
        notes.problem(key, "is not an absolute path", HINT);
        return None;
    }
    let found = ClientCertificate::read(Path::new(text)).and_then(|found| found.check_time(clock::now()));
    match found {
        Ok(found) => Some(found),
        Err(unusable) => {
            unusable.report(key, notes);
            None
        }
    }
}

impl ClientCertificate {
    /// The hint for a certificate that expires or cannot be used.
    pub const RENEW: &str =
        hint!("Create a new certificate, register it in the app registration, and replace the file");

    /// A certificate with less time left is reported.
    pub const EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);

    fn read(file: &Path) -> Result<Self, Unusable> {
        let shown = file.display();
        let pem = read(file, LONGEST_FILE, "the certificate and its key")?;
        let text = String::from_utf8_lossy(&pem);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
        if chain.is_empty() {
            return Err(Unusable::of(file, "contains no certificate in PEM form", HINT));
        }
        if ["BEGIN ENCRYPTED", "4,ENCRYPTED"]
            .iter()
            .any(|mark| text.contains(mark))
        {
            let hint = hint_with!(
                "Write the decrypted key to a private file with `openssl pkey -in {shown} -out NEW`, append the certificate to it, and replace {shown}"
            );
            return Err(Unusable::of(file, "contains an encrypted private key", hint));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            let hint = hint_with!("Append the private key of the certificate to {shown}");
            Unusable::of(file, "contains no private key in PEM form", hint)
        })?;
        let other = hint!("Create a certificate with an RSA key of 2048 to 4096 bits, and register it");
        let key = any_supported_type(&key)
            .map_err(|_| Unusable::of(file, "contains a private key that cannot be used", other))?;
        if key.algorithm() != SignatureAlgorithm::RSA {
            let message = "contains a key that is not RSA, which Entra does not accept";
            return Err(Unusable::of(file, message, other));
        }
        // The certificate of the key is usually the first one; the others are its authorities.
        let is_own = |certificate: &&CertificateDer<'static>| {
            let pair = CertifiedKey::new(vec![(*certificate).clone()], Arc::clone(&key));
            pair.keys_match().is_ok()
        };
        let Some(certificate) = chain.iter().find(is_own).cloned() else {
            let hint = hint_with!("Write the key to {shown} that the certificate was created with");
            return Err(Unusable::of(
                file,
                "contains a key that does not belong to the certificate",
                hint,
            ));
        };
        let undecodable = || Unusable::of(file, "contains a certificate that cannot be decoded", HINT);
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| undecodable())?;
        let at = |seconds| Timestamp::from_second(seconds).map_err(|_| undecodable());
        let (not_before, not_after) = (
            at(parsed.validity().not_before.timestamp())?,
            at(parsed.validity().not_after.timestamp())?,
        );
        Ok(Self {
            file: file.to_owned(),
            certificate,
            key,
            not_before,
            not_after,
        })
    }

    fn check_time(self, now: Timestamp) -> Result<Self, Unusable> {
        let (message, hint) = if now >= self.not_after {
            (
                format!("contains a certificate that expired at {}", self.not_after),
                Self::RENEW,
            )
        } else if now < self.not_before {
            let message = format!("contains a certificate that is not valid before {}", self.not_before);
            (message, hint!("Set the clock of this machine"))
        } else {
            return Ok(self);
        };
        Err(Unusable {
            may_pass: true,
            ..Unusable::of(&self.file, message, hint)
        })
    }

    /// Reads the file again. Returns `None` if the certificate is unchanged.
    ///
    /// # Errors
    /// The reason why the file cannot be used, without its content.
    pub fn renewed(&self) -> Result<Option<Self>, String> {
        let renewed = Self::read(&self.file).and_then(|read| read.check_time(clock::now()));
        match renewed {
            Ok(renewed) => Ok(Some(renewed).filter(|renewed| renewed != self)),
            // The same expired certificate is reported as such, not as a file that cannot be used.
            Err(_) if Self::read(&self.file).is_ok_and(|read| read == *self) => Ok(None),
            Err(unusable) => Err(unusable.message),
        }
    }

    /// Returns the file that holds it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the certificate in DER form.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// Returns when it expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Returns how long it is still valid.
    pub fn left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.not_after.duration_since(now)).unwrap_or_default()
    }

    /// Signs a message with RSASSA-PSS and SHA-256, as PS256 of RFC 7518 does. `None` if the signature cannot be made.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256])?;
        signer.sign(message).ok()
    }
}

/// A key belongs to one certificate, so equal certificates have equal keys.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.certificate == other.certificate
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("file", &self.file)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
