//! Loads an identity file, or the three PEM files of `tctl auth sign --format=tls`.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs1KeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::PrivateSec1KeyDer;
use rustls::sign::CertifiedKey;

use crate::config::Credentials;
use crate::teleport::identity::subject::Subject;

/// Valid credentials that belong together.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate and its key. Teleport rejects chains of more than one certificate.
    pub(in crate::teleport) key: Arc<CertifiedKey>,
    pub(in crate::teleport) authorities: Vec<CertificateDer<'static>>,
    pub user: String,
    pub roles: Vec<String>,
    pub cluster: String,
    /// The name of the authority, which is the name of its cluster.
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// The file that holds the certificate, for error messages and logs.
    pub file: PathBuf,
}

/// Why credentials are invalid. `Display` names the file, never its content.
#[derive(Clone, Debug)]
pub(in crate::teleport) struct IdentityError {
    file: PathBuf,
    problem: String,
    hint: &'static str,
}

const SIGN_NEW: &str = hint!("Issue a new identity with `tctl auth sign`, or let tbot write it");

/// A block between BEGIN and END. Blocks are identified by their position, because writers' labels are not reliable.
struct Block {
    label: String,
    der: Vec<u8>,
}

impl Identity {
    /// Loads the credentials and checks that they belong together. Does not check the time.
    pub(in crate::teleport) async fn load(credentials: &Credentials) -> Result<Self, IdentityError> {
        match credentials {
            Credentials::Identity(file) => {
                let mut blocks = read(file).await?.into_iter();
                let missing = |what| IdentityError::new(file, format!("it contains no {what}"), SIGN_NEW);
                let key = blocks.next().ok_or_else(|| missing("private key"))?;
                let certificate = blocks.next().ok_or_else(|| missing("TLS certificate"))?;
                let authorities: Vec<_> = blocks.collect();
                if authorities.is_empty() {
                    return Err(missing("TLS certificate authority (a third PEM block)"));
                }
                assemble(file, file, file, &key, certificate, authorities)
            }
            Credentials::Tls {
                key: key_file,
                certificate: certificate_file,
                authorities: authorities_file,
            } => {
                let first = |file: &Path, blocks: Vec<Block>| {
                    let problem = || IdentityError::new(file, "it contains no PEM block".to_owned(), SIGN_NEW);
                    blocks.into_iter().next().ok_or_else(problem)
                };
                let key = first(key_file, read(key_file).await?)?;
                let certificate = first(certificate_file, read(certificate_file).await?)?;
                let authorities = read(authorities_file).await?;
                if authorities.is_empty() {
                    let problem = "it contains no certificate authority".to_owned();
                    return Err(IdentityError::new(authorities_file, problem, SIGN_NEW));
                }
                assemble(
                    key_file,
                    certificate_file,
                    authorities_file,
                    &key,
                    certificate,
                    authorities,
                )
            }
        }
    }

    /// # Errors
    /// The certificate has expired or is not valid yet.
    pub(in crate::teleport) fn check_time(&self, now: Timestamp) -> Result<(), IdentityError> {
        let Self {
            user,
            issuer,
            not_before,
            not_after,
            ..
        } = self;
        let (problem, hint) = if now >= *not_after {
            (format!("expired at {not_after}"), SIGN_NEW)
        } else if now < *not_before {
            (
                format!("is not valid before {not_before}"),
                hint!("Set the clock of this machine"),
            )
        } else {
            return Ok(());
        };
        let problem = format!("the certificate of {user}, issued by {issuer}, {problem}");
        Err(IdentityError::new(&self.file, problem, hint))
    }

    /// Returns the whole validity period of the certificate.
    pub fn life(&self) -> Duration {
        Duration::try_from(self.not_after.duration_since(self.not_before)).unwrap_or_default()
    }

    /// Returns how long the certificate is still valid.
    pub fn left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.not_after.duration_since(now)).unwrap_or_default()
    }

    /// Returns the number of trusted authorities, including those of leaf clusters and rotations.
    pub fn authority_count(&self) -> usize {
        self.authorities.len()
    }

    /// Returns whether both hold the same certificate and trust the same authorities.
    pub(in crate::teleport) fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert && self.authorities == other.authorities
    }
}

fn assemble(
    key_file: &Path,
    certificate_file: &Path,
    authorities_file: &Path,
    key: &Block,
    certificate: Block,
    authorities: Vec<Block>,
) -> Result<Identity, IdentityError> {
    let signer = signing_key(key).map_err(|problem| IdentityError::new(key_file, problem, SIGN_NEW))?;
    let subject = Subject::read(&certificate.der).ok_or_else(|| {
        let problem = format!("its {} block is not a certificate", certificate.label);
        IdentityError::new(certificate_file, problem, SIGN_NEW)
    })?;
    for authority in &authorities {
        if Subject::read(&authority.der).is_none() {
            let problem = format!(
                "its {} block is not the certificate of a certificate authority",
                authority.label
            );
            return Err(IdentityError::new(authorities_file, problem, SIGN_NEW));
        }
    }
    let key = CertifiedKey::new(vec![CertificateDer::from(certificate.der)], signer);
    match key.keys_match() {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let problem = "the private key does not belong to the certificate".to_owned();
            return Err(IdentityError::new(
                key_file,
                problem,
                hint!("Use the key and the certificate of the same `tctl auth sign`"),
            ));
        }
        Err(error) => {
            let problem = format!("its certificate is not a Teleport user certificate: {error}");
            return Err(IdentityError::new(certificate_file, problem, SIGN_NEW));
        }
    }
    let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let (not_before, not_after) = (time(subject.not_before), time(subject.not_after));
    let Subject {
        user,
        roles,
        issuer,
        cluster,
        ..
    } = subject;
    Ok(Identity {
        key: Arc::new(key),
        authorities: authorities
            .into_iter()
            .map(|block| CertificateDer::from(block.der))
            .collect(),
        user,
        roles,
        cluster,
        issuer,
        not_before,
        not_after,
        file: certificate_file.to_owned(),
    })
}

/// Tries every encoding, whatever the label says: old versions of Teleport wrote wrong labels.
fn signing_key(block: &Block) -> Result<Arc<dyn rustls::sign::SigningKey>, String> {
    let der = &block.der;
    let encodings = [
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice())),
        PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der.as_slice())),
        PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der.as_slice())),
    ];
    encodings
        .iter()
        .find_map(|key| any_supported_type(key).ok())
        .ok_or_else(|| match block.label.as_str() {
            "PIV YUBIKEY PRIVATE KEY" => "its key is in a hardware token, which a daemon cannot use".to_owned(),
            "OPENSSH PRIVATE KEY" => "its key is in OpenSSH's format; ssh-keygen -p -m pkcs8 converts it".to_owned(),
            label => format!("its first block ({label}) is not a usable private key"),
        })
}

async fn read(file: &Path) -> Result<Vec<Block>, IdentityError> {
    let bytes = tokio::fs::read(file).await.map_err(|error| {
        let hint = hint!("Check the path in `[teleport]`, and that this user can read the file; a relative path starts at the working directory");
        IdentityError::new(file, format!("could not read it: {error}"), hint)
    })?;
    if bytes.is_empty() {
        return Err(IdentityError::new(file, "it is empty".to_owned(), SIGN_NEW));
    }
    blocks(&String::from_utf8_lossy(&bytes)).map_err(|problem| IdentityError::new(file, problem, SIGN_NEW))
}

/// Splits a file into its PEM blocks and ignores every other line, such as the SSH certificate.
fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ") else {
            continue;
        };
        let label = label.trim_end_matches('-').to_owned();
        let mut body = String::new();
        loop {
            match lines.next() {
                Some(line) if line.starts_with("-----END") => break,
                Some(line) => body.push_str(line),
                None => return Err(format!("its {label} block does not end")),
            }
        }
        let der = STANDARD
            .decode(&body)
            .map_err(|_| format!("its {label} block is not base64"))?;
        blocks.push(Block { label, der });
    }
    Ok(blocks)
}

impl IdentityError {
    fn new(file: &Path, problem: String, hint: &'static str) -> Self {
        Self {
            file: file.to_owned(),
            problem,
            hint,
        }
    }

    pub(in crate::teleport) fn hint(&self) -> &'static str {
        self.hint
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid identity {}: {}", self.file.display(), self.problem)
    }
}

impl std::error::Error for IdentityError {}
