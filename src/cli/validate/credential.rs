//! The credential of the app in Entra: its kind, and what Microsoft accepts of it.

use std::time::Duration;

use crate::cli::validate::results::{CheckResults, counted};
use crate::clock::{self, readable};
use crate::config::{AppCredential, AppSecret, ClientCertificate, FederatedToken, IdentityEndpoint, ManagedIdentity};
use crate::msteams::{Teams, TokenFacts, thumbprint};
use crate::visible;

const CHECK: &str = "credential of the app";

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
            if left > ClientCertificate::EXPIRES_SOON {
                results.ok(CHECK, detail);
            } else {
                results.warning(CHECK, detail, Some(ClientCertificate::RENEW));
            }
        }
        AppCredential::FederatedToken(token) => federated(token, results),
        AppCredential::ManagedIdentity(identity) => results.ok(CHECK, managed(identity)),
    }
}

fn federated(token: &FederatedToken, results: &mut CheckResults) {
    let file = token.file.display();
    let Some(facts) = TokenFacts::read(token) else {
        return results.ok(CHECK, format!("federated token from {file}"));
    };
    let TokenFacts {
        issuer,
        subject,
        audience,
        expires,
    } = facts;
    let left = expires.map(|end| Duration::try_from(end.duration_since(clock::now())).unwrap_or_default());
    let state = match left {
        Some(left) if left.is_zero() => "expired".to_owned(),
        Some(left) => format!("{} left", readable(left)),
        None => "without an end".to_owned(),
    };
    let detail =
        format!("federated token from {file}, issuer {issuer}, subject {subject}, audience {audience} ({state})");
    if left.is_some_and(|left| left.is_zero()) {
        results.warning(CHECK, detail, Some(&token.to_renew()));
    } else {
        results.ok(CHECK, detail);
    }
}

fn managed(identity: &ManagedIdentity) -> String {
    let place = match &identity.endpoint {
        IdentityEndpoint::AppService { .. } => "App Service",
        IdentityEndpoint::Metadata(_) => "the metadata service",
    };
    let (client_id, host) = (&identity.client_id, identity.endpoint.host());
    format!("managed identity {client_id}, from {place} at {host}")
}

/// Warns if the managed identity is not the app of the bot, after a token was issued: the Bot connector rejects its tokens.
pub(super) async fn compare_app(teams: &Teams, app_id: &str, results: &mut CheckResults) {
    let active = teams.credential_replacements().borrow().clone();
    if !matches!(active.credential, AppCredential::ManagedIdentity(_)) {
        return;
    }
    if let Ok(Some(app)) = teams.authenticated_app().await
        && !app.eq_ignore_ascii_case(app_id)
    {
        let detail = format!("the managed identity is the app {}, not {app_id}", visible::line(&app));
        results.warning(CHECK, detail, Some(ManagedIdentity::IS_THE_BOT));
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
