//! How the app authenticates to Microsoft's login service.

use toml::Value;

use crate::config::app_secret::app_secrets;
use crate::config::client_certificate::client_certificate;
use crate::config::federated_token::{WorkloadEnvironment, federated_token};
use crate::config::file::{Notes, Section};
use crate::config::managed_identity::managed_identity;
use crate::config::{AppSecret, ClientCertificate, FederatedToken, ManagedIdentity};

/// The credential of the app, as the configuration names it and its files hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppCredential {
    /// `[msapi] app_secret`: at least one client secret. During a rotation the next one is used when Microsoft rejects one.
    Secrets(Vec<AppSecret>),
    /// `[msapi] client_certificate`: signed assertions.
    Certificate(ClientCertificate),
    /// `[msapi] federated_token_file`: the token of another issuer.
    FederatedToken(FederatedToken),
    /// `[msapi] managed_identity`: tokens from the machine itself.
    ManagedIdentity(ManagedIdentity),
}

impl AppCredential {
    /// Returns the key that configures it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Secrets(_) => "msapi.app_secret",
            Self::Certificate(_) => "msapi.client_certificate",
            Self::FederatedToken(_) => "msapi.federated_token_file",
            Self::ManagedIdentity(_) => "msapi.managed_identity",
        }
    }

    /// Returns its client secrets; none if it is of another kind.
    pub fn secrets(&self) -> &[AppSecret] {
        match self {
            Self::Secrets(secrets) => secrets,
            Self::Certificate(_) | Self::FederatedToken(_) | Self::ManagedIdentity(_) => &[],
        }
    }

    /// Returns its certificate; `None` if it is of another kind.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        match self {
            Self::Certificate(certificate) => Some(certificate),
            Self::Secrets(_) | Self::FederatedToken(_) | Self::ManagedIdentity(_) => None,
        }
    }

    /// Returns the word for its kind, for logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Secrets(_) => "client secret",
            Self::Certificate(_) => "certificate",
            Self::FederatedToken(_) => "federated token",
            Self::ManagedIdentity(_) => "managed identity",
        }
    }

    /// Reads its files again. Returns `None` if there is no file, or if their content is unchanged.
    ///
    /// # Errors
    /// The reason why the file cannot be used, without its content.
    pub fn renewed(&self) -> Result<Option<Self>, String> {
        match self {
            Self::Secrets(secrets) => {
                let read = secrets.iter().map(|secret| match secret.renewed() {
                    Ok(renewed) => Ok(renewed.unwrap_or_else(|| secret.clone())),
                    Err(error) => Err(error),
                });
                let read: Vec<_> = read.collect::<Result<_, _>>()?;
                Ok(Some(read).filter(|read| read != secrets).map(Self::Secrets))
            }
            Self::Certificate(certificate) => Ok(certificate.renewed()?.map(Self::Certificate)),
            Self::FederatedToken(token) => Ok(token.renewed()?.map(Self::FederatedToken)),
            Self::ManagedIdentity(_) => Ok(None),
        }
    }
}

/// Reads the credential, or records why there is none. Only one kind can be set.
pub(super) fn credential(
    section: &mut Section<'_>,
    app_id: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
    workload: &WorkloadEnvironment,
    notes: &mut Notes,
) -> Option<AppCredential> {
    const KEYS: [&str; 4] = [
        "app_secret",
        "client_certificate",
        "federated_token_file",
        "managed_identity",
    ];
    let set: Vec<_> = KEYS
        .into_iter()
        .filter(|key| section.value(key).is_some_and(is_set))
        .collect();
    if let [first, others @ ..] = &set[..]
        && !others.is_empty()
    {
        for other in others {
            let message = format!("cannot be combined with {first}");
            notes.problem(section.key(other), message, hint!("Keep one of them"));
        }
        return None;
    }
    match set.first() {
        Some(&"client_certificate") => client_certificate(section, notes).map(AppCredential::Certificate),
        Some(&"federated_token_file") => federated_token(section, workload, notes).map(AppCredential::FederatedToken),
        Some(&"managed_identity") => {
            managed_identity(section, app_id, environment, notes).map(AppCredential::ManagedIdentity)
        }
        _ => app_secrets(section, environment, notes).map(AppCredential::Secrets),
    }
}

/// Returns whether a value is not the same as no key.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Boolean(value) => *value,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}
