//! How the app authenticates to Microsoft's login service.

use crate::config::AppSecret;
use crate::config::app_secret::app_secrets;
use crate::config::file::{Notes, Section};

/// The credential of the app, as the configuration names it and its files hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppCredential {
    /// `[msapi] app_secret`: at least one client secret. During a rotation the next one is used when Microsoft rejects one.
    Secrets(Vec<AppSecret>),
}

impl AppCredential {
    /// Returns the key that configures it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Secrets(_) => "msapi.app_secret",
        }
    }

    /// Returns its client secrets; none if it is of another kind.
    pub fn secrets(&self) -> &[AppSecret] {
        match self {
            Self::Secrets(secrets) => secrets,
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
        }
    }
}

/// Reads the credential, or records why there is none.
pub(super) fn credential(
    section: &mut Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<AppCredential> {
    app_secrets(section, environment, notes).map(AppCredential::Secrets)
}
