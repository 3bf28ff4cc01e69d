//! Certificates like those of Teleport.

use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use time::Duration;
use time::OffsetDateTime;

/// The attribute with the name of the cluster.
const CLUSTER: [u64; 5] = [1, 3, 9999, 1, 7];

/// The two authorities of a cluster: one for its services, one for its users.
pub struct Authority {
    pub cluster: String,
    hosts: Signer,
    /// The authority that replaces the first in a rotation; it has the same name.
    next_hosts: Signer,
    users: Signer,
}

/// The certificate of an Auth Service.
#[derive(Clone, Debug)]
pub struct HostCertificate {
    /// The cluster in it, if not its own.
    pub cluster: Option<String>,
    /// The name that clients verify.
    pub name: &'static str,
    pub validity: Validity,
    /// It is only valid for clients.
    pub for_clients: bool,
}

impl Default for HostCertificate {
    fn default() -> Self {
        Self {
            cluster: None,
            name: "teleport.cluster.local",
            validity: Validity::ONE_DAY,
            for_clients: false,
        }
    }
}

pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A key with its certificate, both as PEM.
pub struct Credentials {
    pub key: String,
    pub certificate: String,
}

/// The validity of a certificate, in seconds from now.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    pub from: i64,
    pub to: i64,
}

impl Validity {
    pub const ONE_DAY: Self = Self { from: -60, to: 86_400 };
    pub const OVER: Self = Self {
        from: -7_200,
        to: -3_600,
    };
}

impl Authority {
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            hosts: Signer::new(cluster),
            next_hosts: Signer::new(cluster),
            users: Signer::new(cluster),
        }
    }

    /// Signs a user's certificate, as `tctl auth sign` does.
    pub fn user(&self, name: &str, roles: &[&str], validity: Validity) -> Credentials {
        let mut params = params(validity);
        params.distinguished_name.push(DnType::CommonName, name);
        for role in roles {
            params.distinguished_name.push(DnType::OrganizationName, *role);
        }
        params
            .distinguished_name
            .push(DnType::CustomDnType(CLUSTER.to_vec()), self.cluster.as_str());
        self.users.sign(&params)
    }

    /// Returns an identity file: key, certificate, a line for SSH, and the authority of the services.
    pub fn identity_file(&self, user: &Credentials) -> String {
        let Credentials { key, certificate } = user;
        let cluster = &self.cluster;
        let authority = &self.hosts.pem;
        format!("{key}{certificate}@cert-authority {cluster},*.{cluster} ssh-ed25519 AAAA type=host\n{authority}")
    }

    /// Returns an identity file that trusts both authorities of a rotation.
    pub fn identity_file_in_rotation(&self, user: &Credentials) -> String {
        format!("{}{}", self.identity_file(user), self.next_hosts.pem)
    }

    /// Returns the authority of the services as PEM, for `root_cas`.
    pub fn authorities(&self) -> &str {
        &self.hosts.pem
    }

    /// Returns the TLS configuration of an Auth Service with this certificate, before or after a rotation.
    ///
    /// # Panics
    /// Never: all parts are created here and belong together.
    pub fn server_config(&self, shown: &HostCertificate, rotated: bool) -> Arc<ServerConfig> {
        let named = shown.cluster.as_ref().unwrap_or(&self.cluster);
        let mut params = params(shown.validity);
        params.subject_alt_names = [shown.name.to_owned(), format!("*.{}", shown.name)]
            .map(|name| rcgen::SanType::DnsName(name.try_into().expect("the names are ASCII")))
            .to_vec();
        if shown.for_clients {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        params
            .distinguished_name
            .push(DnType::CommonName, format!("auth.{named}"));
        params.distinguished_name.push(DnType::OrganizationName, "Admin");
        params
            .distinguished_name
            .push(DnType::CustomDnType(CLUSTER.to_vec()), named.as_str());
        let hosts = if rotated { &self.next_hosts } else { &self.hosts };
        let made = hosts.sign(&params);
        server_config(&made, &self.users.pem)
    }
}

/// Returns the TLS configuration of an Auth Service from PEM: its own certificate, and the authority of its users.
///
/// # Panics
/// If the parts are not PEM, or do not belong together.
pub fn server_config(shown: &Credentials, users: &str) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM");
    let mut trusted = RootCertStore::empty();
    trusted
        .add(certificate(users))
        .expect("the authority of the users is a certificate");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .expect("there is one authority");
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key in PEM");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider serves both versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate(&shown.certificate)], key)
        .expect("the key belongs to the certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

impl Signer {
    pub(super) fn new(cluster: &str) -> Self {
        let mut params = params(Validity::ONE_DAY);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = Vec::new();
        params.distinguished_name.push(DnType::OrganizationName, cluster);
        params.distinguished_name.push(DnType::CommonName, cluster);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("the parameters are complete");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn sign(&self, params: &CertificateParams) -> Credentials {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("the parameters are complete");
        Credentials {
            key: key.serialize_pem(),
            certificate: certificate.pem(),
        }
    }
}

pub(super) fn params(validity: Validity) -> CertificateParams {
    let now = OffsetDateTime::from(crate::now());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = now + Duration::seconds(validity.from);
    params.not_after = now + Duration::seconds(validity.to);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Returns a certificate for the loopback address that no authority signed, and its key, both in PEM form.
///
/// # Panics
/// If the machine has no random numbers.
pub fn self_signed() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("the machine has random numbers");
    let names = vec!["127.0.0.1".to_owned()];
    let parameters = rcgen::CertificateParams::new(names).expect("an address is a valid name");
    let certificate = parameters.self_signed(&key).expect("the key can sign");
    (certificate.pem(), key.serialize_pem())
}
