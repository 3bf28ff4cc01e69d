//! The credential of the app in Entra: its kind, and what Microsoft accepts of it.

use std::time::Duration;

use crate::cli::validate::results::{CheckResults, counted};
use crate::clock;
use crate::config::{AppCredential, AppSecret};
use crate::msteams::{Teams, thumbprint};

const CHECK: &str = "credential of the app";

/// A certificate with less time left is a warning.
const EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);

/// Reports which credential the configuration names.
pub(super) fn configured(credential: &AppCredential, results: &mut CheckResults) {
    match credential {
        AppCredential::Secrets(secrets) => match &secrets[..] {
            [secret] => results.ok(CHECK, format!("client secret from {}", source(secret))),
            several => results.ok(CHECK, format!("{} client secrets", several.len())),
        },
        AppCredential::Certificate(certificate) => {
            let left = certificate.left(clock::now());
            let detail = format!(
                "certificate from {}, SHA-256 thumbprint {}, valid until {} ({} left)",
                certificate.file().display(),
                thumbprint(certificate),
                certificate.not_after(),
                counted((left.as_secs() / 86_400).try_into().unwrap_or(usize::MAX), "day"),
            );
            if left > EXPIRES_SOON {
                results.ok(CHECK, detail);
            } else {
                let hint = hint!("Create a new certificate, register it in the app registration, and replace the file");
                results.warning(CHECK, detail, Some(hint));
            }
        }
    }
}

/// Reports which of several client secrets Microsoft accepts, after a token was issued.
pub(super) fn accepted(teams: &Teams, results: &mut CheckResults) {
    let active = teams.credential_replacements().borrow().clone();
    let secrets = active.credential.secrets();
    let Some((position, secret)) = active.accepted().and_then(|at| Some((at, secrets.get(at)?))) else {
        return;
    };
    if secrets.len() < 2 {
        return;
    }
    let detail = format!(
        "Microsoft accepts secret {} of {}, from {}",
        position + 1,
        secrets.len(),
        source(secret)
    );
    if position == 0 {
        results.ok(CHECK, detail);
    } else {
        let hint = hint!("Remove the secrets before it from `[msapi] app_secret` when the rotation is complete");
        results.warning(CHECK, detail, Some(hint));
    }
}

fn source(secret: &AppSecret) -> String {
    match &secret.file {
        Some(file) => file.display().to_string(),
        None if secret.inline => "the configuration".to_owned(),
        None => "the environment".to_owned(),
    }
}
