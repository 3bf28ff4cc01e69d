//! Certificates of the public web, for load balancers and proxies in front of the cluster.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rcgen::{DnType, SanType};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::identity::{Signer, Validity, params};

/// An authority that browsers would trust.
pub struct WebAuthority(Signer);

impl WebAuthority {
    #[expect(clippy::new_without_default, reason = "each authority has its own keys")]
    pub fn new() -> Self {
        Self(Signer::new("Pretend Web Authority"))
    }

    /// Returns its certificate, for `SSL_CERT_FILE`.
    pub fn pem(&self) -> &str {
        self.0.pem()
    }

    /// Returns the TLS configuration of a server on the loopback address or with the name `teleport.test`, with these
    /// protocols.
    ///
    /// # Panics
    /// Never: all parts are created here and belong together.
    pub fn server_config(&self, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut params = params(Validity::ONE_DAY);
        params.distinguished_name.push(DnType::CommonName, "teleport.test");
        let name = "teleport.test".try_into().expect("the name is ASCII");
        params.subject_alt_names = vec![
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::DnsName(name),
        ];
        let made = self.0.sign(&params);
        let certificate = CertificateDer::from_pem_slice(made.certificate.as_bytes()).expect("it was just written");
        let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).expect("it was just written");
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider serves both versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
