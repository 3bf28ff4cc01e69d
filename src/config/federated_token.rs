//! The token of another issuer that Entra accepts for the app: workload identity federation.
//!
//! Source: the environment of Microsoft's workload identity for Kubernetes, as `@azure/identity` 4.13.1 reads it.

use std::path::{Path, PathBuf};

use toml::Value;
use url::Url;

use crate::config::file::{Notes, Section};
use crate::config::secret_file::{Unusable, read};
use crate::config::shown::{described, quoted, quoted_id};
use crate::secret::Secret;

/// Maximum size of the file in bytes. A token has one or two thousand.
const LONGEST_FILE: u64 = 64 * 1024;

const HINT: &str =
    hint!("Set it to the path of a file with a token of another issuer, or to true for the environment of AKS");

/// The variables that AKS sets for the containers of a pod with a workload identity.
const FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const CLIENT: &str = "AZURE_CLIENT_ID";
const TENANT: &str = "AZURE_TENANT_ID";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";

/// The token of another issuer, and the file that it was read from, which is replaced before the token expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedToken {
    pub file: PathBuf,
    pub value: Secret,
    /// The environment names the file, not the configuration.
    pub from_environment: bool,
}

/// What the environment of AKS says, for `federated_token_file = true`.
#[derive(Default)]
pub(super) struct WorkloadEnvironment {
    file: Option<String>,
    client: Option<String>,
    tenant: Option<String>,
    authority: Option<String>,
}

impl WorkloadEnvironment {
    /// Reads the variables; without `federated_token_file = true` none counts.
    pub(super) fn read(section: &mut Section<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        if section.value("federated_token_file") != Some(&Value::Boolean(true)) {
            return Self::default();
        }
        let variable = |name| environment(name).map(|text| text.trim().to_owned());
        let variable = |name| variable(name).filter(|text| !text.is_empty());
        Self {
            file: variable(FILE),
            client: variable(CLIENT),
            tenant: variable(TENANT),
            authority: variable(AUTHORITY),
        }
    }

    /// Returns the ID for a key, and the variable that holds it.
    pub(super) fn id(&self, key: &str) -> Option<(&'static str, &str)> {
        let (name, id) = match key {
            "app_id" => (CLIENT, &self.client),
            "tenant_id" => (TENANT, &self.tenant),
            _ => return None,
        };
        Some((name, id.as_deref()?))
    }

    /// Records a problem if the environment belongs to another cloud than the configuration. A gateway on the path may replace
    /// the login service, so that of the cloud counts, too.
    pub(super) fn check_cloud(&self, cloud: Option<&str>, login: Option<&Url>, key: String, notes: &mut Notes) {
        let (Some(text), Some(login)) = (&self.authority, login) else {
            return;
        };
        let own = cloud.and_then(|cloud| Url::parse(cloud).ok());
        let is_same = Url::parse(text)
            .is_ok_and(|url| url.host() == login.host() || own.is_some_and(|own| url.host() == own.host()));
        if !is_same {
            let login = login.host_str().unwrap_or_default();
            let message = format!("logs in at {login}, but {AUTHORITY} is {}", quoted(text));
            let hint = hint!("Set `[msapi] cloud` to the cloud of the tenant");
            notes.problem(key, message, hint);
        }
    }
}

/// Records a problem if an ID differs from that of the environment.
pub(super) fn same_id(key: String, configured: &str, (name, id): (&str, &str), notes: &mut Notes) {
    if !configured.eq_ignore_ascii_case(id) {
        let message = format!("is {}, but {name} is {}", quoted_id(configured), quoted_id(id));
        let hint = hint_with!("Remove the key, or correct the annotations of the service account that set {name}");
        notes.problem(key, message, hint);
    }
}

/// Reads the token from the file that the key or the environment names, or records why it cannot be used.
pub(super) fn federated_token(
    section: &mut Section<'_>,
    environment: &WorkloadEnvironment,
    notes: &mut Notes,
) -> Option<FederatedToken> {
    let key = section.key("federated_token_file");
    let (text, from_environment) = match section.value("federated_token_file")? {
        Value::Boolean(true) => {
            let Some(file) = &environment.file else {
                let hint = hint!(
                    "Enable the workload identity of the AKS cluster, label the pod azure.workload.identity/use: \"true\", and annotate its service account"
                );
                notes.problem(key, format!("the environment variable {FILE} is not set"), hint);
                return None;
            };
            (file.as_str(), true)
        }
        Value::String(text) => (text.trim(), false),
        other => {
            let message = format!("expected a path or true, got {}", described(other));
            notes.problem(key, message, HINT);
            return None;
        }
    };
    if !text.starts_with('/') {
        notes.problem(key, "is not an absolute path", HINT);
        return None;
    }
    let file = Path::new(text);
    match token_in(file) {
        Ok(value) => Some(FederatedToken {
            file: file.to_owned(),
            value,
            from_environment,
        }),
        Err(unusable) => {
            unusable.report(key, notes);
            None
        }
    }
}

impl FederatedToken {
    /// Returns the hint for an expired token.
    pub fn to_renew(&self) -> String {
        let file = self.file.display();
        hint_with!("Check that the issuer of the token, such as the kubelet or tbot, renews {file}")
    }

    /// Reads the file again. Returns `None` if the token is unchanged.
    ///
    /// # Errors
    /// The reason why the file cannot be used, without its content.
    pub fn renewed(&self) -> Result<Option<Self>, String> {
        let value = token_in(&self.file).map_err(|unusable| unusable.message)?;
        let renewed = Self { value, ..self.clone() };
        Ok(Some(renewed).filter(|renewed| renewed != self))
    }
}

fn token_in(file: &Path) -> Result<Secret, Unusable> {
    let bytes = read(file, LONGEST_FILE, "the token of the workload")?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim();
    if text.is_empty() {
        let hint = hint!("Check that the issuer of the token, such as the kubelet or tbot, writes this file");
        return Err(Unusable {
            may_pass: true,
            ..Unusable::of(file, "is empty", hint)
        });
    }
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !part.is_empty() && part.bytes().all(fits)
    };
    if text.split('.').count() != 3 || !text.split('.').all(is_part) {
        return Err(Unusable::of(file, "does not contain a JSON web token", HINT));
    }
    Ok(Secret::new(text))
}
