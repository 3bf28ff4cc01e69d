//! The cluster's name and links on its cards.

use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use crate::domain::request::RequestId;

/// The longest ID of a request or an Access List that a card links, in bytes.
const LONGEST_LINKED_ID: usize = 200;

/// A cluster, as cards name it and link to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardCluster {
    pub name: String,
    /// The Web UI, such as `https://teleport.example.com`, where it can show requests.
    pub web: Option<String>,
    /// The Teleport user of this program, which submits the reviews of people who press a button.
    pub plugin: String,
}

impl CardCluster {
    /// Converts the public address of a Proxy Service to the address of its Web UI; `None` if it is invalid.
    ///
    /// Like the Go plugin's: port 443 is dropped, other ports are kept, and so is a scheme if there is one.
    pub fn web_address(public: &str) -> Option<String> {
        let (scheme, rest) = match public.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some(_) => return None,
            None => ("https", public),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let clean = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if rest.is_empty() || !rest.bytes().all(clean) {
            return None;
        }
        let host = match scheme {
            "https" => rest.strip_suffix(":443").unwrap_or(rest),
            _ => rest,
        };
        Some(format!("{scheme}://{host}"))
    }

    /// Returns the address at which the request can be reviewed.
    pub fn link(&self, id: &RequestId) -> Option<String> {
        self.page("requests", id.as_str())
    }

    /// Returns the address at which an Access List can be reviewed.
    pub fn list_link(&self, name: &str) -> Option<String> {
        self.page("accesslists", name).filter(|_| !name.is_empty())
    }

    fn page(&self, kind: &str, id: &str) -> Option<String> {
        const KEPT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-');
        // An ID of Teleport is a UUID; the size of a card must not depend on one that is not.
        let web = self.web.as_ref().filter(|_| id.len() <= LONGEST_LINKED_ID)?;
        Some(format!("{web}/web/{kind}/{}", utf8_percent_encode(id, KEPT)))
    }

    /// Returns the address at which access can be requested.
    pub fn link_to_request(&self) -> Option<String> {
        self.web.as_ref().map(|web| format!("{web}/web/requests/new"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_address_follows_from_the_public_one() {
        for (public, expected) in [
            ("teleport.example.com:443", Some("https://teleport.example.com")),
            ("teleport.example.com:3080", Some("https://teleport.example.com:3080")),
            ("teleport.example.com", Some("https://teleport.example.com")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("https://t.example.com:443/", Some("https://t.example.com")),
            ("", None),
            ("javascript://x", None),
            ("t.example.com/x?y", None),
            ("t.example.com)](x", None),
        ] {
            assert_eq!(CardCluster::web_address(public).as_deref(), expected, "{public}");
        }
    }
}
