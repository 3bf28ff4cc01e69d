//! Follows the certificate files of the port for requests from Teams.

use std::convert::Infallible;
use std::time::Duration;

use tracing::{info, warn};

use crate::blocking::apart;
use crate::config::TlsFiles;
use crate::daemon::upkeep::FileFollower;
use crate::heartbeat::Heartbeat;
use crate::listener::{Certificate, CertificateError};

/// Reads the certificate and its key.
pub(super) async fn read(files: &TlsFiles) -> Result<Certificate, CertificateError> {
    let TlsFiles { certificate, key } = files.clone();
    apart(move || Certificate::read(&certificate, &key)).await
}

/// Reads the files regularly, and uses a new certificate for every later connection. Files that cannot be used change
/// nothing and are logged once.
pub(super) async fn follow(files: TlsFiles, current: Certificate, every: Duration, heartbeat: Heartbeat) -> Infallible {
    let mut follower = FileFollower::new(every);
    let read = move || {
        let renewed = Certificate::read(&files.certificate, &files.key)?;
        Ok(current.replace(&renewed).then_some(()))
    };
    loop {
        match follower.next(&heartbeat, read.clone()).await {
            Ok(()) => info!("Certificate for requests from Teams replaced"),
            Err(error) => {
                let error: CertificateError = error;
                let hint = hint!(
                    "Write a certificate and its key in PEM form to the files of `[review] certificate` and `key`"
                );
                warn!(%error, hint, "Could not read the certificate for requests from Teams, keeping the current one");
            }
        }
    }
}
