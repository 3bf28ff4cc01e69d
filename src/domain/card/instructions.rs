//! How to use granted access, as the administrator describes it.

use std::collections::BTreeMap;

use crate::domain::request::AccessRequest;

/// What stands for the ID of the request in a text.
const ID: &str = "{id}";

/// The text for roles without their own: the command that adds the granted roles to a session.
const DEFAULT: &str = "tsh login --request-id={id}";

/// Texts that say how to use granted access, by role. An empty text says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    roles: BTreeMap<String, String>,
    others: String,
}

impl Instructions {
    /// `others` is the text for every role without its own.
    pub fn new(roles: BTreeMap<String, String>, others: Option<String>) -> Self {
        Self {
            roles,
            others: others.unwrap_or_else(|| DEFAULT.to_owned()),
        }
    }

    /// Returns the texts for a request, each once, in the order of its roles.
    pub fn of(&self, request: &AccessRequest) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for role in &request.roles {
            let text = self.roles.get(role).unwrap_or(&self.others);
            let text = text.replace(ID, request.id.as_str());
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }
}

impl Default for Instructions {
    fn default() -> Self {
        Self::new(BTreeMap::new(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::RequestId;

    #[test]
    fn each_role_has_its_text_or_the_common_one() {
        let texts = [("dba", "Open {id} in the console"), ("silent", "")];
        let roles = texts.map(|(role, text)| (role.to_owned(), text.to_owned()));
        let instructions = Instructions::new(roles.into(), None);
        let roles = ["dev", "dba", "silent", "ops"].map(str::to_owned);
        let request = AccessRequest {
            roles: roles.into(),
            ..AccessRequest::new(RequestId::new("1f"), "bob")
        };
        assert_eq!(
            instructions.of(&request),
            ["tsh login --request-id=1f", "Open 1f in the console"]
        );
    }
}
