//! Describes why an exchange brought no answer, with the host and a hint.
//!
//! Architecture Invariant: the texts are our own. Those of libraries may quote URLs and assume that the reader knows the library.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;

use crate::msteams::trust::Untrusted;

/// The cause of a failure on the path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) detail: String,
    pub(crate) hint: String,
    /// The detail is complete; the library's error would add nothing.
    pub(crate) is_known: bool,
}

/// The hint for status 407.
pub(crate) const PROXY_LOGIN: &str = hint!("Set HTTPS_PROXY=http://user:password@host:port");

/// One cause in the chain of an error.
enum Link {
    Name,
    Refused,
    Unreachable,
    ProxyLogin,
    ProxyRefuses,
    Certificate(CertificateError),
    Tls,
}

/// Returns the cause of a failed request to `host`. `proxy` is the proxy on the path, without its password.
pub(crate) fn of(error: &reqwest::Error, host: &str, proxy: Option<&str>) -> Cause {
    let through = proxy.map(|proxy| format!("the proxy {proxy}"));
    // With a proxy, its name and port fail: the proxy resolves the host itself.
    let next = through.as_deref().unwrap_or(host);
    let network = hint_with!("Check that this machine can reach {next}: firewall, HTTPS_PROXY and NO_PROXY");
    let link = link(error);
    let is_known = link.is_some() || error.is_timeout();
    let (detail, hint) = match link {
        Some(Link::Name) => (
            format!("could not resolve the name of {next}"),
            hint_with!("Check the DNS settings of this machine and the name of {next}"),
        ),
        Some(Link::Refused) => (format!("{next} refused the connection"), network),
        Some(Link::Unreachable) => (format!("there is no route to {next}"), network),
        Some(Link::ProxyLogin) => (
            format!(
                "{} requires a user name and a password (407)",
                through.as_deref().unwrap_or("the proxy")
            ),
            PROXY_LOGIN.to_owned(),
        ),
        Some(Link::ProxyRefuses) => (
            format!(
                "{} refused to connect to {host}",
                through.as_deref().unwrap_or("the proxy")
            ),
            hint_with!("Allow connections to {host}:443 on the proxy, or add {host} to NO_PROXY"),
        ),
        Some(Link::Certificate(error)) => certificate(&error, host),
        Some(Link::Tls) => (
            format!("TLS with {host} failed"),
            hint_with!("Check whether a proxy or a firewall intercepts TLS on the path to {host}"),
        ),
        None if error.is_connect() && error.is_timeout() => (format!("no connection to {next} in time"), network),
        None if error.is_connect() => (format!("no connection to {next}"), network),
        None if error.is_timeout() => (format!("no answer from {host} in time"), network),
        None => (format!("the connection to {host} broke"), network),
    };
    Cause { detail, hint, is_known }
}

fn certificate(error: &CertificateError, host: &str) -> (String, String) {
    let trust = hint!(
        "If a proxy or a firewall intercepts TLS on this path, install its certificate authority on this machine, or set SSL_CERT_FILE to its file"
    );
    let detail = match error {
        CertificateError::Other(other) if let Some(untrusted) = other.0.downcast_ref::<Untrusted>() => {
            format!("the certificate of {host} is not trusted ({untrusted})")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let clock = hint!("Check the clock of this machine, and what answers on the path");
            return (format!("the certificate of {host} has expired"), clock.to_owned());
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate of {host} is for another name")
        }
        _ => format!("the certificate of {host} is not trusted"),
    };
    (detail, trust.to_owned())
}

/// Returns the first known cause in the chain.
fn link(error: &reqwest::Error) -> Option<Link> {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(link) = known(error) {
            return Some(link);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // An I/O error hides its inner error from `source`.
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn known(error: &(dyn StdError + 'static)) -> Option<Link> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(match error {
            rustls::Error::InvalidCertificate(error) => Link::Certificate(error.clone()),
            _ => Link::Tls,
        });
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(Link::Refused),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some(Link::Unreachable),
            _ => None,
        };
    }
    // The connector's errors have no public types. When a proxy rejects a CONNECT, hyper-util distinguishes 407 and
    // hides every other status (403, 502, 503), so the cause cannot name it.
    match error.to_string().as_str() {
        "dns error" => Some(Link::Name),
        "tunnel error: proxy authorization required" => Some(Link::ProxyLogin),
        text if text.starts_with("tunnel error") => Some(Link::ProxyRefuses),
        _ => None,
    }
}
