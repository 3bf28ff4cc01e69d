//! Why a log file or a port could not be opened.

use std::io;
use std::io::ErrorKind;
use std::path::Path;

use crate::config::HostPort;

/// A log file or a port that could not be opened, with a hint for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    #[source]
    cause: io::Error,
    hint: String,
}

impl Error {
    pub fn hint(&self) -> &str {
        &self.hint
    }

    pub(super) fn log_file(path: &Path, cause: io::Error) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).display();
        let hint = match cause.kind() {
            ErrorKind::NotFound => hint_with!("Create the directory {folder}, or change `[log] output`"),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => hint_with!(
                "Allow the user that runs this program to write to {} and to its directory, or change `[log] output`; \
                 the systemd unit allows /var/log/teleport-msteams only",
                path.display()
            ),
            ErrorKind::IsADirectory => hint!("Set `[log] output` to the path of a file, not of a directory").to_owned(),
            _ => hint!("Set `[log] output` to \"stderr\", \"stdout\" or a writable file").to_owned(),
        };
        Self {
            what: format!("could not open the log file {}", path.display()),
            cause,
            hint,
        }
    }

    pub(super) fn port(address: &HostPort, cause: io::Error) -> Self {
        let hint = match cause.kind() {
            ErrorKind::AddrInUse => hint_with!(
                "Set `diag_addr` to a free port, or stop the program that listens on {} (`ss -ltnp` shows it)",
                address.port
            ),
            ErrorKind::PermissionDenied => hint!("Set `diag_addr` to a port above 1023").to_owned(),
            _ => hint!(
                "Set `diag_addr` to an address of this machine and a port, such as \"127.0.0.1:8081\" or \":8081\""
            )
            .to_owned(),
        };
        Self {
            what: format!("could not open the port {address} of diag_addr"),
            cause,
            hint,
        }
    }
}
