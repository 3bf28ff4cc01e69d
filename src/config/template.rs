//! The configuration that `configure` writes.

use toml::Value;

/// The values of the app that the generated configuration contains.
#[derive(Clone, Copy)]
pub struct Template<'a> {
    pub app_id: &'a str,
    pub tenant_id: &'a str,
    pub teams_app_id: &'a str,
    pub credential: &'a ChosenCredential,
    /// Enables reviews in Teams.
    pub reviews: bool,
}

/// The credential of the app in a generated configuration.
#[derive(Clone)]
pub enum ChosenCredential {
    /// A value, the path of a file, or `env:NAME`, as `[msapi] app_secret` accepts them.
    Secret(String),
    /// The path of a PEM file.
    Certificate(String),
    /// The path of a file; `None` for the environment of AKS.
    FederatedToken(Option<String>),
    /// A client ID; `None` for the only identity of the machine.
    ManagedIdentity(Option<String>),
}

impl ChosenCredential {
    /// Returns the lines of the configuration: a comment, and the key.
    fn lines(&self) -> String {
        let or_true = |text: &Option<String>| text.as_deref().map_or_else(|| "true".to_owned(), quoted);
        match self {
            Self::Secret(secret) => format!(
                "# The value of its client secret, the absolute path of a file that holds it, or env:NAME.\napp_secret = {}",
                quoted(secret)
            ),
            Self::Certificate(file) => format!(
                "# A PEM file with the private key (RSA) and the certificate of the app registration.\nclient_certificate = {}",
                quoted(file)
            ),
            Self::FederatedToken(file) => format!(
                "# A file with a token that a federated credential of the app names, or true for the environment of AKS.\n\
                 federated_token_file = {}",
                or_true(file)
            ),
            Self::ManagedIdentity(client_id) => format!(
                "# The client ID of a managed identity of this machine, or true for that of app_id.\nmanaged_identity = {}",
                or_true(client_id)
            ),
        }
    }
}

/// Quotes a text as TOML requires.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

impl Template<'_> {
    /// Returns the text, with every value quoted as TOML requires.
    pub fn text(&self) -> String {
        let reviews = if self.reviews {
            include_str!("template-review.toml")
        } else {
            ""
        };
        format!("{}{reviews}", include_str!("template.toml"))
            .replace("{app_id}", &quoted(self.app_id))
            .replace("{tenant_id}", &quoted(self.tenant_id))
            .replace("{teams_app_id}", &quoted(self.teams_app_id))
            // Last, so that no placeholder in the secret is replaced.
            .replace("{credential}", &self.credential.lines())
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;

    #[test]
    fn every_secret_is_read_back_unchanged() {
        for app_secret in ["~&<>\"'+\\", "a\"b", "'''", "{tenant_id}", "ünï\n"] {
            let template = Template {
                app_id: "a",
                tenant_id: "b",
                teams_app_id: "c",
                credential: &ChosenCredential::Secret(app_secret.to_owned()),
                reviews: true,
            };
            let table: Table = template.text().parse().unwrap();
            assert_eq!(table["msapi"]["app_secret"].as_str(), Some(app_secret));
            assert_eq!(table["msapi"]["tenant_id"].as_str(), Some("b"));
            assert_eq!(table["review"]["enabled"].as_bool(), Some(true));
        }
    }

    #[test]
    fn each_credential_is_one_key() {
        for (credential, key, value) in [
            (
                ChosenCredential::Certificate("/a.pem".to_owned()),
                "client_certificate",
                Value::from("/a.pem"),
            ),
            (
                ChosenCredential::FederatedToken(None),
                "federated_token_file",
                true.into(),
            ),
            (
                ChosenCredential::FederatedToken(Some("/t".to_owned())),
                "federated_token_file",
                "/t".into(),
            ),
            (
                ChosenCredential::ManagedIdentity(Some("11-22".to_owned())),
                "managed_identity",
                "11-22".into(),
            ),
            (ChosenCredential::ManagedIdentity(None), "managed_identity", true.into()),
        ] {
            let template = Template {
                app_id: "a",
                tenant_id: "b",
                teams_app_id: "c",
                credential: &credential,
                reviews: false,
            };
            let table: Table = template.text().parse().unwrap();
            let msapi = table["msapi"].as_table().unwrap();
            assert_eq!((msapi.len(), &msapi[key]), (4, &value));
        }
    }
}
