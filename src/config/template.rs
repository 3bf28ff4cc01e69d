//! The configuration that `configure` writes.

use toml::Value;

/// The values of the app that the generated configuration contains.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    pub app_id: &'a str,
    pub tenant_id: &'a str,
    pub teams_app_id: &'a str,
    /// A value, the path of a file, or `env:NAME`, as `[msapi] app_secret` accepts them.
    pub app_secret: &'a str,
    /// Enables reviews in Teams.
    pub reviews: bool,
}

impl Template<'_> {
    /// Returns the text, with every value quoted as TOML requires.
    pub fn text(&self) -> String {
        let quoted = |text: &str| Value::String(text.to_owned()).to_string();
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
            .replace("{app_secret}", &quoted(self.app_secret))
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
                app_secret,
                reviews: true,
            };
            let table: Table = template.text().parse().unwrap();
            assert_eq!(table["msapi"]["app_secret"].as_str(), Some(app_secret));
            assert_eq!(table["msapi"]["tenant_id"].as_str(), Some("b"));
            assert_eq!(table["review"]["enabled"].as_bool(), Some(true));
        }
    }
}
