//! A recipient as written: an email address, a user ID or a channel link.

use std::fmt;
use std::hash::{Hash, Hasher};

use percent_encoding::percent_decode_str;
use url::Url;

/// A recipient: a user or a channel.
///
/// Two spellings of the same email address or user ID are equal. `Debug` hides the mailbox, because email addresses
/// must not reach a log above debug level.
#[derive(Clone)]
pub struct Address {
    raw: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Email,
    UserId,
    Channel(ChannelLink),
}

/// What a link to a Teams channel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLink {
    /// The conversation, such as `19:…@thread.tacv2`.
    pub thread: String,
    /// The id of the team that the channel is in.
    pub team: String,
    /// The name of the channel, as the link contains it.
    pub name: String,
}

/// Hosts with `/l/channel/` links to Teams (`@microsoft/teams-js` 2.58, valid origins).
const LINK_HOSTS: [&str; 6] = [
    "teams.microsoft.com",
    "teams.cloud.microsoft",
    "gov.teams.microsoft.us",
    "dod.teams.microsoft.us",
    "teams.microsoft.us",
    "teams.microsoftonline.cn",
];

impl Address {
    /// Parses a recipient.
    ///
    /// # Errors
    /// Says, as a fragment, why the text is neither an email address, nor a user id, nor a channel link.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw = text.trim();
        if raw.is_empty() {
            return Err("it is empty".to_owned());
        }
        let kind = if raw.contains("://") {
            Kind::Channel(ChannelLink::parse(raw)?)
        } else if raw.contains('@') {
            check_mail(raw)?;
            Kind::Email
        } else if is_guid(raw) {
            Kind::UserId
        } else {
            return Err("it is neither an email address nor a user ID (GUID) nor a channel link".to_owned());
        };
        Ok(Self {
            raw: raw.to_owned(),
            kind,
        })
    }

    /// Returns the recipient as written, without surrounding white space.
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// Returns how people know the recipient, such as `alice@example.com` or `#Databases`; `None` for a user ID.
    pub fn label(&self) -> Option<String> {
        match &self.kind {
            Kind::Email => Some(self.raw.clone()),
            Kind::UserId => None,
            Kind::Channel(link) => Some(format!("#{}", link.name)).filter(|_| !link.name.is_empty()),
        }
    }

    /// Returns the link if the recipient is a channel.
    pub fn channel(&self) -> Option<&ChannelLink> {
        match &self.kind {
            Kind::Channel(link) => Some(link),
            Kind::Email | Kind::UserId => None,
        }
    }

    /// Returns whether this is a user name, such as that of a requester, in whatever letter case.
    pub fn is_user_name(&self, user: &str) -> bool {
        let user = user.trim().chars().flat_map(char::to_lowercase);
        self.channel().is_none() && self.identity().eq(user)
    }

    pub fn is_email(&self) -> bool {
        matches!(self.kind, Kind::Email)
    }

    /// Returns the canonical form for comparisons, as an iterator: every event compares every recipient.
    fn identity(&self) -> impl Iterator<Item = char> {
        let (text, any_case) = match &self.kind {
            Kind::Email | Kind::UserId => (&self.raw, true),
            Kind::Channel(link) => (&link.thread, false),
        };
        text.chars().flat_map(move |c| {
            let small = any_case.then(|| c.to_lowercase());
            let same = (!any_case).then_some(c);
            small.into_iter().flatten().chain(same)
        })
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.identity().eq(other.identity())
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().for_each(|c| c.hash(state));
    }
}

impl fmt::Debug for Address {
    /// Shortens an email address to `a…@example.com`, so that logs do not identify a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Email => {
                let (mailbox, domain) = self.raw.rsplit_once('@').unwrap_or((&self.raw, ""));
                let first = mailbox.chars().next().unwrap_or('…');
                write!(f, "{first}…@{domain}")
            }
            Kind::UserId => f.write_str(&self.raw),
            Kind::Channel(link) => f.write_str(&link.thread),
        }
    }
}

impl fmt::Display for Address {
    /// Writes the same as `Debug`, because logs must not contain a full email address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ChannelLink {
    /// Reads `https://teams.microsoft.com/l/channel/<thread>/<name>?groupId=<team>`; a `tenantId` may be missing.
    ///
    /// Stricter than the Go plugin, which accepts any host and any path of five parts.
    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is not a link: {error}"))?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "https" || !LINK_HOSTS.contains(&host) {
            return Err(format!("it is not a link to Teams: {}://{host}", url.scheme()));
        }
        let segments: Vec<_> = url.path_segments().into_iter().flatten().collect();
        let ["l", "channel", thread, name] = segments[..] else {
            return Err("it is not a link to a channel: expected /l/channel/<id>/<name>".to_owned());
        };
        let thread = percent_decode_str(thread)
            .decode_utf8()
            .map_err(|_| "its channel ID is not UTF-8".to_owned())?;
        if !is_thread(&thread) {
            return Err(format!("its channel ID is invalid: {thread:?}"));
        }
        let team = url
            .query_pairs()
            .find(|(key, _)| key == "groupId")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        if !is_guid(&team) {
            return Err("it has no groupId=<team ID>".to_owned());
        }
        Ok(Self {
            thread: thread.into_owned(),
            team,
            name: decoded(&decoded(name)),
        })
    }
}

/// Decodes the name of a channel. Teams encodes it twice in the links that its users copy.
fn decoded(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// Returns whether the text is a channel ID such as `19:…@thread.tacv2` or, for old channels, `19:…@thread.skype`.
fn is_thread(text: &str) -> bool {
    let body = text.strip_prefix("19:").unwrap_or_default();
    let (name, suffix) = body.split_once('@').unwrap_or_default();
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && ["thread.tacv2", "thread.skype", "thread.v2"].contains(&suffix)
}

fn is_guid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Maximum length of an email address in bytes: 64 for the mailbox, the @, and 255 for the domain (RFC 5321, section 4.5.3.1).
const LONGEST_MAIL: usize = 320;

/// Checks an email address, and rejects characters that could change the meaning of a request to Microsoft.
fn check_mail(text: &str) -> Result<(), String> {
    let (mailbox, domain) = text.rsplit_once('@').unwrap_or_default();
    if text.len() > LONGEST_MAIL {
        return Err(format!(
            "it is not an email address: it is longer than {LONGEST_MAIL} bytes"
        ));
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"".contains(c);
    if mailbox.is_empty() || domain.is_empty() {
        return Err("it is not an email address: a part before or after the @ is missing".to_owned());
    }
    if let Some(c) = text.chars().find(|c| odd(*c)) {
        return Err(format!("it is not a bare email address: it contains {c:?}"));
    }
    if mailbox.contains('@') {
        return Err("it is not an email address: it contains more than one @".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed = Address::parse(text).map(|address| format!("{address:?}"));
        match (parsed, expected) {
            (Ok(shown), Ok(expected)) => assert_eq!(shown, expected, "{text}"),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{text}: {reason}"),
            (parsed, expected) => panic!("{text}: {parsed:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn recipients_are_email_addresses_user_ids_or_channel_links() {
        check("alice@example.com", Ok("a…@example.com"));
        check(" o'brien@example.com ", Ok("o…@example.com"));
        check("üser@exämple.com", Ok("ü…@exämple.com"));
        check("a_b.com#EXT#@t.onmicrosoft.com", Ok("a…@t.onmicrosoft.com"));
        let id = "a36aec2e-f11c-4219-b79a-19ffff57de70";
        check(id, Ok(id));
        let link = "https://teams.microsoft.com/l/channel/19%3ae06a7383ed98468f90217a35fa1980d7%40thread.tacv2/\
                    Approval%2520Channel%25202?groupId=f2b3c8ed-5502-4449-b76f-dc3acea81f1c&tenantId=x";
        check(link, Ok("19:e06a7383ed98468f90217a35fa1980d7@thread.tacv2"));
        let label = |text: &str| Address::parse(text).unwrap().label();
        assert_eq!(label(link).as_deref(), Some("#Approval Channel 2"));
        assert_eq!(label("alice@example.com").as_deref(), Some("alice@example.com"));
        assert_eq!(label(id), None);
    }

    #[test]
    fn other_text_is_refused_with_its_reason() {
        check("", Err("empty"));
        check("devs-msteams-channel", Err("neither an email address"));
        check("Foo <a@b.c>", Err("bare email address"));
        check("a@b@c.d", Err("more than one @"));
        check("@b.c", Err("missing"));
        check(
            "https://evil.example/l/channel/19%3aa%40thread.tacv2/x?groupId=1",
            Err("not a link to Teams"),
        );
        check("http://teams.microsoft.com/l/channel/a/b", Err("not a link to Teams"));
        check("https://teams.microsoft.com/l/team/a/b", Err("not a link to a channel"));
        check(
            "https://teams.microsoft.com/l/channel/19%3asome%2f%40thread.tacv2/x",
            Err("channel ID"),
        );
        check(
            "https://teams.microsoft.com/l/channel/19%3aa%40thread.tacv2/x",
            Err("groupId"),
        );
    }

    #[test]
    fn an_email_address_has_at_most_320_bytes() {
        let longest = format!("{}@{}.com", "a".repeat(64), "b".repeat(251));
        assert_eq!(longest.len(), 320);
        assert!(Address::parse(&longest).is_ok());
        check(&format!("a{longest}"), Err("longer than 320 bytes"));
        check(&format!("ü{}", &longest[1..]), Err("longer than 320 bytes"));
    }

    #[test]
    fn two_spellings_of_one_person_are_equal() {
        let one = Address::parse("Alice@Example.com").unwrap();
        assert_eq!(one, Address::parse("alice@example.com").unwrap());
        assert_ne!(one, Address::parse("bob@example.com").unwrap());
    }
}
