//! The credential with which the app authenticates to the login service: the only copy in use, which can be replaced.
//!
//! Architecture Invariant: the only place that sends a secret or an assertion, and only to the login service or, for a
//! managed identity, to the machine itself.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use reqwest::Method;
use tokio::sync::watch;
use url::{Url, form_urlencoded};

use crate::clock;
use crate::config::{AppCredential, ClientCertificate, MicrosoftSettings};
use crate::msteams::answer::{Answer, Expects};
use crate::msteams::assertion::assertion;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::http::{Effect, FORM, Http, Request};
use crate::msteams::paths::join;
use crate::msteams::{federation, managed_identity};
use crate::secret::Secret;

/// The form of assertions (RFC 7523, section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The credential for all token requests.
pub(crate) struct Credential {
    login: Url,
    client_id: String,
    active: watch::Sender<Arc<ActiveCredential>>,
    /// The client for the managed identity, created when it is first used.
    local: OnceLock<Http>,
}

/// What a token is for.
#[derive(Clone, Copy)]
pub(crate) struct Purpose<'a> {
    pub(crate) scope: &'a str,
    /// The operation if the login service issues it, and if the machine does.
    pub(crate) operation: Operation,
    pub(crate) identity: Operation,
}

/// The credential that token requests use now.
#[derive(Debug)]
pub struct ActiveCredential {
    pub credential: AppCredential,
    /// Changes with each replacement, so that a token shows whether it was requested with this one.
    generation: u64,
    /// The position of the client secret that Microsoft accepted last.
    accepted: watch::Sender<Option<usize>>,
}

impl Credential {
    pub(crate) fn new(settings: &MicrosoftSettings) -> Self {
        let path = [&settings.tenant_id, "oauth2", "v2.0", "token"];
        Self {
            login: join(&settings.endpoints.login, &path, None),
            client_id: settings.app_id.clone(),
            active: watch::Sender::new(Arc::new(ActiveCredential::new(settings.credential.clone(), 0))),
            local: OnceLock::new(),
        }
    }

    /// Replaces the credential; each token immediately requests a new one. An equal credential changes nothing, and neither does
    /// one that replaces `old` if that is no longer the current one.
    pub(crate) fn replace(&self, old: Option<&ActiveCredential>, credential: AppCredential) {
        self.active.send_if_modified(|active| {
            let is_current = old.is_none_or(|old| old.generation == active.generation);
            let is_new = is_current && active.credential != credential;
            if is_new {
                *active = Arc::new(ActiveCredential::new(credential, active.generation + 1));
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

    /// Returns the host that issues the tokens for a credential.
    pub(crate) fn host<'a>(&'a self, credential: &'a AppCredential) -> &'a str {
        match credential {
            AppCredential::ManagedIdentity(identity) => identity.endpoint.host(),
            _ => self.login.host_str().unwrap_or_default(),
        }
    }

    /// Sends the request for a token of a scope once. `position` is that of the client secret, if there are several.
    ///
    /// # Errors
    /// The credential cannot be used any more, or there is no usable answer.
    pub(crate) async fn exchange(
        &self,
        http: &Http,
        purpose: Purpose<'_>,
        active: &ActiveCredential,
        position: usize,
    ) -> Result<Answer, Error> {
        if let AppCredential::ManagedIdentity(identity) = &active.credential {
            let (request, (name, value)) = managed_identity::request(purpose.identity, identity, purpose.scope);
            let answer = self.local(http)?.exchange_with(&request, (name, value.expose())).await;
            return answer.map_err(|error| managed_identity::explained(error, identity));
        }
        let request = self.request(purpose, active, position)?;
        let answer = http.exchange(&request, None).await;
        answer.map_err(|error| match &active.credential {
            AppCredential::FederatedToken(token) => federation::explained(error, token, clock::now()),
            _ => error,
        })
    }

    /// Returns the client for the managed identity of this machine.
    fn local(&self, http: &Http) -> Result<&Http, Error> {
        if let Some(local) = self.local.get() {
            return Ok(local);
        }
        let local = http.for_this_machine()?;
        Ok(self.local.get_or_init(|| local))
    }

    fn request(&self, purpose: Purpose<'_>, active: &ActiveCredential, position: usize) -> Result<Request, Error> {
        let operation = purpose.operation;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", purpose.scope);
        let assertion = match &active.credential {
            AppCredential::Secrets(secrets) => {
                let secret = secrets.get(position).map(|secret| secret.value.expose());
                form.append_pair("client_secret", secret.unwrap_or_default());
                None
            }
            AppCredential::Certificate(certificate) => Some(self.assertion(operation, certificate)?),
            AppCredential::FederatedToken(token) => Some(token.value.clone()),
            // It has its own request.
            AppCredential::ManagedIdentity(_) => None,
        };
        if let Some(assertion) = assertion {
            form.append_pair("client_assertion_type", JWT_BEARER)
                .append_pair("client_assertion", assertion.expose());
        }
        Ok(Request {
            operation,
            method: Method::POST,
            url: self.login.clone(),
            body: Some((FORM, Bytes::from(form.finish()))),
            effect: Effect::Idempotent,
            expects: Expects::Object,
        })
    }

    /// Signs an assertion. Each attempt has its own, because the login service accepts each ID once.
    fn assertion(&self, operation: Operation, certificate: &ClientCertificate) -> Result<Secret, Error> {
        let now = clock::now();
        let unusable = |detail: String| {
            let error = Error::new(operation, Meaning::Credentials, Retry::Later(None)).detail(detail);
            error.with_hint(Some(ClientCertificate::RENEW))
        };
        let end = certificate.not_after();
        if now >= end {
            return Err(unusable(format!("the certificate of the app expired at {end}")));
        }
        let signed = assertion(certificate, &self.client_id, self.login.as_str(), now);
        signed.ok_or_else(|| unusable("the key of the certificate cannot sign".to_owned()))
    }
}

impl ActiveCredential {
    fn new(credential: AppCredential, generation: u64) -> Self {
        Self {
            credential,
            generation,
            accepted: watch::Sender::new(None),
        }
    }

    /// Returns the position of the client secret that Microsoft accepted last, from 0; `None` before the first token.
    pub fn accepted(&self) -> Option<usize> {
        *self.accepted.borrow()
    }

    /// Returns a receiver of changes of [`accepted`](Self::accepted).
    pub fn acceptances(&self) -> watch::Receiver<Option<usize>> {
        self.accepted.subscribe()
    }

    pub(crate) fn accept(&self, position: usize) {
        self.accepted
            .send_if_modified(|accepted| accepted.replace(position) != Some(position));
    }

    /// Returns the positions to try, beginning with the one that worked last.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> {
        let count = self.credential.secrets().len().max(1);
        let first = self.accepted().unwrap_or(0);
        (0..count).map(move |step| (first + step) % count)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AppSecret;

    #[test]
    fn a_file_that_was_read_before_a_reload_does_not_put_the_old_credential_back() {
        let secret = |text: &str| {
            let value = Secret::new(text);
            let secret = AppSecret {
                value,
                file: None,
                inline: true,
            };
            AppCredential::Secrets(vec![secret])
        };
        let credential = Credential {
            login: "https://login.example".parse().unwrap(),
            client_id: String::new(),
            active: watch::Sender::new(Arc::new(ActiveCredential::new(secret("1"), 0))),
            local: OnceLock::new(),
        };
        let read = credential.current();
        credential.replace(None, secret("reloaded"));
        credential.replace(Some(&read), secret("read"));
        assert_eq!(credential.current().credential, secret("reloaded"));
        credential.replace(Some(&credential.current()), secret("renewed"));
        assert_eq!(credential.current().credential, secret("renewed"));
    }
}
