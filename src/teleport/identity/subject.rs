//! The subject of a certificate, as Teleport writes it (its `lib/tlsca`).

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

/// The attribute with the name of the cluster that issued the certificate.
const CLUSTER: &str = "1.3.9999.1.7";
const COMMON_NAME: &str = "2.5.4.3";
const ORGANIZATION: &str = "2.5.4.10";

/// The facts in a user's certificate.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) user: String,
    pub(super) roles: Vec<String>,
    pub(super) issuer: String,
    pub(super) cluster: String,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Subject {
    /// Parses a certificate; `None` if the bytes are not a certificate.
    pub(super) fn read(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let issuer = attribute(parsed.issuer(), ORGANIZATION).unwrap_or_default();
        Some(Self {
            user: attribute(parsed.subject(), COMMON_NAME).unwrap_or_default(),
            roles: attributes(parsed.subject(), ORGANIZATION).collect(),
            cluster: attribute(parsed.subject(), CLUSTER).unwrap_or_else(|| issuer.clone()),
            issuer,
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
        })
    }
}

/// Returns the cluster that a server's certificate belongs to, if it names one.
pub(in crate::teleport) fn cluster_of(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    attribute(parsed.subject(), CLUSTER)
}

fn attribute(name: &X509Name<'_>, oid: &str) -> Option<String> {
    attributes(name, oid).next()
}

/// Searches every member of every RDN, because standard attributes may share one.
fn attributes(name: &X509Name<'_>, oid: &str) -> impl Iterator<Item = String> {
    name.iter_attributes()
        .filter(move |attribute| attribute.attr_type().to_id_string() == oid)
        .filter_map(|attribute| attribute.as_str().ok())
        .map(str::to_owned)
}
