//! The managed identity of the machine, which needs no separate credential.
//!
//! Source: `@azure/msal-node`, `Imds.ts` and `AppService.ts`: the variables, and the address of the metadata service.

use toml::Value;
use url::Url;

use crate::config::file::{Notes, Section};
use crate::config::shown::{described, quoted_id};
use crate::secret::Secret;

/// The address of the metadata service of every virtual machine in Azure.
const METADATA: &str = "http://169.254.169.254";

const HINT: &str = hint!("Set it to true, or to the client ID of a user-assigned identity");

/// A managed identity, and the endpoint that issues its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// The client ID of a user-assigned identity. Every request names it: App Service uses the system-assigned identity otherwise,
    /// which cannot be the app of a bot.
    pub client_id: String,
    pub endpoint: IdentityEndpoint,
}

/// What issues the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityEndpoint {
    /// App Service, Functions and Container Apps.
    AppService { url: Url, header: Secret },
    /// The metadata service of a virtual machine, at this base URL.
    Metadata(Url),
}

impl ManagedIdentity {
    /// The hint for an identity that is not the app of the bot.
    pub const IS_THE_BOT: &str =
        hint!("Set `[msapi] app_id` to the client ID of the identity, and create the Azure Bot resource with it");
}

impl IdentityEndpoint {
    /// Returns the host that issues the tokens.
    pub fn host(&self) -> &str {
        let (Self::AppService { url, .. } | Self::Metadata(url)) = self;
        url.host_str().unwrap_or_default()
    }
}

/// Reads the identity that the key names and the endpoint of the environment, or records why there is none. `true` stands for the
/// identity that is the app.
pub(super) fn managed_identity(
    section: &mut Section<'_>,
    app_id: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<ManagedIdentity> {
    let key = section.key("managed_identity");
    let client_id = match section.value("managed_identity")? {
        Value::Boolean(_) => app_id.map(str::to_owned),
        Value::String(text) => {
            let text = text.trim();
            if !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
                notes.problem(key, format!("{} is not a client ID", quoted_id(text)), HINT);
                return None;
            }
            Some(text.to_owned())
        }
        other => {
            let message = format!("expected true or a client ID, got {}", described(other));
            notes.problem(key, message, HINT);
            return None;
        }
    };
    match endpoint(environment) {
        Ok(endpoint) => Some(ManagedIdentity {
            client_id: client_id?,
            endpoint,
        }),
        Err((message, hint)) => {
            notes.problem(key, message, hint);
            None
        }
    }
}

/// Warns if the identity is not that of the bot: the Bot connector accepts only tokens of the bot's own app.
pub(super) fn check_client(identity: &ManagedIdentity, app_id: &str, key: String, notes: &mut Notes) {
    let client_id = &identity.client_id;
    if !client_id.eq_ignore_ascii_case(app_id) {
        let message = format!("{} is not the app_id", quoted_id(client_id));
        let hint = ManagedIdentity::IS_THE_BOT;
        notes.warning(key, message, hint);
    }
}

fn endpoint(environment: &dyn Fn(&str) -> Option<String>) -> Result<IdentityEndpoint, (String, &'static str)> {
    let variable = |name| environment(name).filter(|text| !text.trim().is_empty());
    let url = |name: &str, text: &str| {
        let url = Url::parse(text.trim()).ok().filter(Url::has_host);
        let hint = hint!("Correct the environment variable, or remove it to use the metadata service of the machine");
        url.ok_or_else(|| (format!("the environment variable {name} is not a URL"), hint))
    };
    if let Some(text) = variable("IDENTITY_ENDPOINT") {
        let header = variable("IDENTITY_HEADER").ok_or_else(|| {
            let message = "IDENTITY_ENDPOINT is set without IDENTITY_HEADER, as on machines of Azure Arc";
            let hint =
                hint!("Use a certificate or a federated token instead; identities of Azure Arc are not supported");
            (message.to_owned(), hint)
        })?;
        let url = url("IDENTITY_ENDPOINT", &text)?;
        let header = Secret::new(header.trim());
        return Ok(IdentityEndpoint::AppService { url, header });
    }
    let name = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    let text = variable(name);
    let base = url(name, text.as_deref().unwrap_or(METADATA))?;
    Ok(IdentityEndpoint::Metadata(base))
}
