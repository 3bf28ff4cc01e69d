//! The options of `configure` that choose the credential of the app.

use std::fs;
use std::io::{IsTerminal as _, stdin};
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context as _, bail};
use clap::Args;
use uuid::Uuid;

use crate::cli::environment;
use crate::cli::output::complain;
use crate::config::ChosenCredential;

const SECRET_VARIABLE: &str = "AZURE_APPSECRET";

/// At most one of them is set; without any, the client secret is read from the environment or prompted for.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct CredentialOptions {
    #[arg(
        long = "appSecret",
        value_name = "SECRET",
        help = "Value of the client secret. Other users of this machine can see it in the process list. If no credential is \
                given, it is read from AZURE_APPSECRET or prompted for"
    )]
    app_secret: Option<String>,
    /// File with the client secret; the configuration refers to it
    #[arg(long = "appSecretFile", value_name = "FILE")]
    app_secret_file: Option<PathBuf>,
    /// PEM file with the certificate of the app and its key, instead of a client secret
    #[arg(long = "clientCertificate", value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// File with a token that a federated credential of the app names, instead of a client secret; "true" for AKS
    #[arg(long = "federatedTokenFile", value_name = "FILE|true")]
    federated_token_file: Option<PathBuf>,
    /// Client ID of a managed identity of this machine, instead of a client secret; "true" for --appID
    #[arg(long = "managedIdentity", value_name = "ID|true", value_parser = identity)]
    managed_identity: Option<String>,
}

impl CredentialOptions {
    /// Returns whether an option chooses a credential.
    pub(super) fn is_given(&self) -> bool {
        let files = [
            &self.app_secret_file,
            &self.client_certificate,
            &self.federated_token_file,
        ];
        let texts = [&self.app_secret, &self.managed_identity];
        files.into_iter().any(Option::is_some) || texts.into_iter().any(Option::is_some)
    }

    /// Returns the chosen credential, with absolute paths.
    pub(super) fn chosen(&self) -> anyhow::Result<ChosenCredential> {
        if let Some(file) = &self.client_certificate {
            warn_if_missing(file);
            return Ok(ChosenCredential::Certificate(shown(file)?));
        }
        if let Some(file) = &self.federated_token_file {
            let file = Some(file).filter(|file| *file != Path::new("true"));
            if let Some(file) = file {
                warn_if_missing(file);
            }
            let file = file.map(|file| shown(file)).transpose()?;
            return Ok(ChosenCredential::FederatedToken(file));
        }
        if let Some(client_id) = &self.managed_identity {
            let client_id = (client_id != "true").then(|| client_id.clone());
            return Ok(ChosenCredential::ManagedIdentity(client_id));
        }
        self.secret().map(ChosenCredential::Secret)
    }

    /// Returns the value of `[msapi] app_secret`: the secret, or the path of its file.
    fn secret(&self) -> anyhow::Result<String> {
        if let Some(file) = &self.app_secret_file {
            let secret = fs::read_to_string(file)
                .with_context(|| format!("could not read the client secret from {}", file.display()))?;
            if secret.trim().is_empty() {
                bail!(
                    "could not configure: {} is empty; write the value of the client secret to it",
                    file.display()
                );
            }
            return shown(file);
        }
        let given = self
            .app_secret
            .clone()
            .or_else(|| environment::variable(SECRET_VARIABLE));
        let secret = match given {
            Some(secret) => secret,
            None if stdin().is_terminal() => rpassword::prompt_password("Value of the client secret (not shown): ")
                .context("could not prompt for the client secret")?,
            None => bail!(
                "could not configure: no client secret; set {SECRET_VARIABLE}, or pass a file with --appSecretFile"
            ),
        };
        let secret = secret.trim();
        if secret.is_empty() {
            bail!(
                "could not configure: the client secret is empty; pass the value of a client secret of the Azure bot"
            );
        }
        Ok(secret.to_owned())
    }
}

/// Returns the absolute path of a file, for the configuration.
fn shown(file: &Path) -> anyhow::Result<String> {
    let file = absolute(file).with_context(|| format!("could not find {}", file.display()))?;
    Ok(file.display().to_string())
}

/// Parses the client ID of a managed identity, or `true`.
fn identity(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text == "true" || Uuid::try_parse(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err("expected true, or a client ID such as 11111111-2222-4333-8444-555555555555".to_owned())
    }
}

/// Warns of a file that does not exist yet: another program or a mount may create it.
fn warn_if_missing(file: &Path) {
    if !file.is_file() {
        complain!(
            "WARNING: there is no file {}; create it before the start",
            file.display()
        );
    }
}
