//! The client secret with which the app authenticates to the login service. It can be replaced.
//!
//! Architecture Invariant: the only place that sends the secret, and only to the login service.

use bytes::Bytes;
use reqwest::Method;
use tokio::sync::watch;
use url::{Url, form_urlencoded};

use crate::config::MicrosoftSettings;
use crate::msteams::answer::Expects;
use crate::msteams::error::Operation;
use crate::msteams::http::{Effect, FORM, Request};
use crate::msteams::paths::join;
use crate::secret::Secret;

/// The credential for all token requests.
pub(crate) struct Credential {
    login: Url,
    client_id: String,
    secret: watch::Sender<Secret>,
}

impl Credential {
    pub(crate) fn new(settings: &MicrosoftSettings) -> Self {
        let path = [&settings.tenant_id, "oauth2", "v2.0", "token"];
        Self {
            login: join(&settings.endpoints.login, &path, None),
            client_id: settings.app_id.clone(),
            secret: watch::Sender::new(settings.app_secret.value.clone()),
        }
    }

    /// Replaces the secret; each token immediately requests a new one.
    pub(crate) fn replace(&self, secret: Secret) {
        self.secret.send_replace(secret);
    }

    pub(crate) fn current(&self) -> Secret {
        self.secret.borrow().clone()
    }

    pub(crate) fn is_current(&self, secret: &Secret) -> bool {
        *self.secret.borrow() == *secret
    }

    /// Returns a receiver of replacements.
    pub(crate) fn replacements(&self) -> watch::Receiver<Secret> {
        self.secret.subscribe()
    }

    pub(crate) fn login_host(&self) -> &str {
        self.login.host_str().unwrap_or_default()
    }

    /// Returns the request for a token of a scope, with this secret.
    pub(crate) fn request(&self, operation: Operation, scope: &str, secret: &Secret) -> Request {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", secret.expose())
            .append_pair("scope", scope)
            .finish();
        Request {
            operation,
            method: Method::POST,
            url: self.login.clone(),
            body: Some((FORM, Bytes::from(form))),
            effect: Effect::Idempotent,
            expects: Expects::Object,
        }
    }
}
