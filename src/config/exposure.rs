//! Secrets in files that other users of the machine can read or replace.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::file::Notes;
use crate::config::{AppCredential, Credentials, Settings};

const READ_BY_OTHERS: u32 = 0o004;
const WRITE_BY_OTHERS: u32 = 0o002;
const SEARCH_BY_OTHERS: u32 = 0o001;

/// Warns of every file with a secret that every user of this machine can read, and of a configuration that they can change.
pub(super) fn examine(configuration: &Path, settings: &Settings, notes: &mut Notes) {
    let secrets = settings.microsoft.credential.secrets();
    let inline = secrets.iter().any(|secret| secret.inline);
    let mut warn = |key: &str, what: &str, path: &Path, is_secret: bool| {
        let Some(verb) = exposed(path, is_secret) else {
            return;
        };
        let shown = path.display();
        let message = format!("every user of this machine can {verb} {shown}, {what}");
        notes.warning(
            key,
            message,
            hint_with!("Run `chmod 640 {shown}` and change its group to the group of the daemon's user"),
        );
    };
    let what = if inline {
        "which holds the client secret"
    } else {
        "which controls who is notified"
    };
    warn("", what, configuration, inline);
    for file in secrets.iter().filter_map(|secret| secret.file.as_ref()) {
        warn("msapi.app_secret", "which holds the client secret", file, true);
    }
    if let Some(certificate) = settings.microsoft.credential.certificate() {
        let what = "which holds the private key of the app";
        warn("msapi.client_certificate", what, certificate.file(), true);
    }
    // The kubelet decides on the mode of the file that the environment of AKS names.
    if let AppCredential::FederatedToken(token) = &settings.microsoft.credential
        && !token.from_environment
    {
        let what = "which holds the token of the app";
        warn("msapi.federated_token_file", what, &token.file, true);
    }
    let (key, file) = match &settings.teleport.credentials {
        Credentials::Identity(file) => ("teleport.identity", file),
        Credentials::Tls { key, .. } => ("teleport.client_key", key),
    };
    warn(key, "which holds the private key", file, true);
    if let Some(tls) = &settings.review.tls {
        warn(
            "review.key",
            "which holds the private key of the certificate",
            &tls.key,
            true,
        );
    }
}

/// Returns what other users can do with a file, if they can reach it through its parent directories.
fn exposed(path: &Path, is_secret: bool) -> Option<&'static str> {
    let path = fs::canonicalize(path).ok()?;
    let mode = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.permissions().mode());
    let is_reachable = path
        .ancestors()
        .skip(1)
        .all(|directory| mode(directory) & SEARCH_BY_OTHERS != 0);
    let mode = mode(&path);
    if !is_reachable {
        None
    } else if mode & WRITE_BY_OTHERS != 0 {
        Some("write to")
    } else if is_secret && mode & READ_BY_OTHERS != 0 {
        Some("read")
    } else {
        None
    }
}
