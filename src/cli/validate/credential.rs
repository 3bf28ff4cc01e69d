//! The credential of the app in Entra: its kind, and what Microsoft accepts of it.

use crate::cli::validate::results::CheckResults;
use crate::config::{AppCredential, AppSecret};
use crate::msteams::Teams;

const CHECK: &str = "credential of the app";

/// Reports which credential the configuration names.
pub(super) fn configured(credential: &AppCredential, results: &mut CheckResults) {
    let AppCredential::Secrets(secrets) = credential;
    match &secrets[..] {
        [secret] => results.ok(CHECK, format!("client secret from {}", source(secret))),
        several => results.ok(CHECK, format!("{} client secrets", several.len())),
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
