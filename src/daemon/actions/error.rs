//! Why the port for requests from Teams could not be opened.

use std::io;
use std::io::ErrorKind;

use crate::config::HostPort;
use crate::listener::CertificateError;

/// Why the port could not be opened, with a hint for the operator.
#[derive(Debug, thiserror::Error)]
#[error("could not open the port {address} of `[review] listen`: {cause}")]
pub struct Error {
    address: String,
    cause: String,
    hint: String,
    is_in_use: bool,
}

impl Error {
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Returns whether another program, or the running daemon, uses the port.
    pub fn is_in_use(&self) -> bool {
        self.is_in_use
    }

    pub(super) fn port(address: &HostPort, cause: &io::Error) -> Self {
        let hint = match cause.kind() {
            ErrorKind::AddrInUse => hint_with!(
                "Set `[review] listen` to a free port, or stop the program that listens on {} (`ss -ltnp` shows it)",
                address.port
            ),
            ErrorKind::PermissionDenied => hint!("Set `[review] listen` to a port above 1023").to_owned(),
            _ => hint!("Set `[review] listen` to an address of this machine and a port, such as \"0.0.0.0:8080\"")
                .to_owned(),
        };
        Self {
            address: address.to_string(),
            cause: cause.to_string(),
            hint,
            is_in_use: cause.kind() == ErrorKind::AddrInUse,
        }
    }

    pub(super) fn certificate(address: &HostPort, cause: &CertificateError) -> Self {
        let hint = match cause {
            CertificateError::Unreadable(..) => {
                hint!("Allow the user of the daemon to read the files of `[review] certificate` and `key`")
            }
            CertificateError::Invalid(..) => {
                hint!(
                    "Set `[review] certificate` and `key` to files with a certificate, its chain and its key in PEM form"
                )
            }
            CertificateError::OtherKey => hint!("Set `[review] key` to the key of the certificate"),
        };
        Self {
            address: address.to_string(),
            cause: cause.to_string(),
            hint: hint.to_owned(),
            is_in_use: false,
        }
    }
}
