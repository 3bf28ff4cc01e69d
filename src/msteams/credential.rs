//! The credential with which the app authenticates to the login service: the only copy in use, which can be replaced.
//!
//! Architecture Invariant: the only place that sends a secret, and only to the login service.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use tokio::sync::watch;
use url::{Url, form_urlencoded};

use crate::config::{AppCredential, MicrosoftSettings};
use crate::msteams::answer::Expects;
use crate::msteams::error::Operation;
use crate::msteams::http::{Effect, FORM, Request};
use crate::msteams::paths::join;

/// The credential for all token requests.
pub(crate) struct Credential {
    login: Url,
    client_id: String,
    active: watch::Sender<Arc<ActiveCredential>>,
}

/// The credential that token requests use now.
#[derive(Debug)]
pub struct ActiveCredential {
    pub credential: AppCredential,
    /// Differs for every replacement, so that a token shows whether it was requested with this one.
    generation: u64,
}

impl Credential {
    pub(crate) fn new(settings: &MicrosoftSettings) -> Self {
        let path = [&settings.tenant_id, "oauth2", "v2.0", "token"];
        Self {
            login: join(&settings.endpoints.login, &path, None),
            client_id: settings.app_id.clone(),
            active: watch::Sender::new(Arc::new(ActiveCredential {
                credential: settings.credential.clone(),
                generation: 0,
            })),
        }
    }

    /// Replaces the credential; each token immediately requests a new one. An equal credential changes nothing.
    pub(crate) fn replace(&self, credential: AppCredential) {
        self.active.send_if_modified(|active| {
            let is_new = active.credential != credential;
            if is_new {
                *active = Arc::new(ActiveCredential {
                    credential,
                    generation: active.generation + 1,
                });
            }
            is_new
        });
    }

    pub(crate) fn current(&self) -> Arc<ActiveCredential> {
        Arc::clone(&self.active.borrow())
    }

    /// Returns a receiver of replacements.
    pub(crate) fn replacements(&self) -> watch::Receiver<Arc<ActiveCredential>> {
        self.active.subscribe()
    }

    pub(crate) fn login_host(&self) -> &str {
        self.login.host_str().unwrap_or_default()
    }

    /// Returns the request for a token of a scope, with this credential.
    pub(crate) fn request(&self, operation: Operation, scope: &str, active: &ActiveCredential) -> Request {
        let AppCredential::Secret(secret) = &active.credential;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", secret.value.expose())
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

impl ActiveCredential {
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}
