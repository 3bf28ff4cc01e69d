//! How the app authenticates to Microsoft's login service.

use crate::config::AppSecret;
use crate::config::app_secret::app_secret;
use crate::config::file::{Notes, Section};

/// The credential of the app, as the configuration names it and its files hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppCredential {
    /// `[msapi] app_secret`: one client secret.
    Secret(AppSecret),
}

impl AppCredential {
    /// Returns the key that configures it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Secret(_) => "msapi.app_secret",
        }
    }

    /// Reads its file again. Returns `None` if there is no file, or if its content is unchanged.
    ///
    /// # Errors
    /// The reason why the file cannot be used, without its content.
    pub fn renewed(&self) -> Result<Option<Self>, String> {
        match self {
            Self::Secret(secret) => Ok(secret.renewed()?.map(Self::Secret)),
        }
    }
}

/// Reads the credential, or records why there is none.
pub(super) fn credential(
    section: &mut Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<AppCredential> {
    app_secret(section, environment, notes).map(AppCredential::Secret)
}
