//! A recipient as written: a person, a group of people, a channel or a chat.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::domain::recipients::link::{ChannelLink, ChatLink, Link};

/// A recipient: a user, a group of users, a channel or a chat.
///
/// Two spellings of the same email address, ID or name of a channel are equal. `Debug` hides the mailbox, because email addresses
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
    Group(String),
    Channel(ChannelLink),
    NamedChannel(ChannelName),
    Chat(ChatLink),
}

/// A channel by name, written as `Team name/Channel name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelName {
    pub team: String,
    pub channel: String,
}

/// Begins the object ID of a group.
const GROUP: &str = "group:";

/// Maximum length of the name of a team or a channel, in characters. Microsoft documents 256 for teams and 50 for channels.
const LONGEST_NAME: usize = 256;

impl Address {
    /// Parses a recipient.
    ///
    /// # Errors
    /// Says, as a fragment, why the text is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw = text.trim();
        if raw.is_empty() {
            return Err("it is empty".to_owned());
        }
        let kind = if raw.contains("://") {
            match Link::parse(raw)? {
                Link::Channel(link) => Kind::Channel(link),
                Link::Chat(link) => Kind::Chat(link),
            }
        } else if let Some(id) = raw.strip_prefix(GROUP) {
            Kind::Group(group(id.trim())?)
        } else if raw.contains('@') {
            check_mail(raw)?;
            Kind::Email
        } else if is_guid(raw) {
            Kind::UserId
        } else if ["/l/channel/", "/l/chat/"].iter().any(|path| raw.contains(path)) {
            return Err("it is a link without https:// at its beginning".to_owned());
        } else if let Some((team, channel)) = raw.rsplit_once('/') {
            // Teams allows the slash in the name of a team, and not in that of a channel.
            Kind::NamedChannel(ChannelName {
                team: name("team", team)?,
                channel: name("channel", channel)?,
            })
        } else {
            return Err(
                "it is neither an email address nor a user ID (GUID), a link, \"Team name/Channel name\" or group:ID"
                    .to_owned(),
            );
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
            Kind::UserId | Kind::Group(_) | Kind::Chat(_) => None,
            Kind::Channel(link) => Some(format!("#{}", link.name)).filter(|_| !link.name.is_empty()),
            Kind::NamedChannel(name) => Some(format!("#{}", name.channel)),
        }
    }

    /// Returns whether the recipient is one person.
    pub fn is_person(&self) -> bool {
        matches!(self.kind, Kind::Email | Kind::UserId)
    }

    /// Returns whether the recipient is a channel, by link or by name.
    pub fn is_channel(&self) -> bool {
        matches!(self.kind, Kind::Channel(_) | Kind::NamedChannel(_))
    }

    /// Returns the link if the recipient is the link of a channel.
    pub fn channel(&self) -> Option<&ChannelLink> {
        match &self.kind {
            Kind::Channel(link) => Some(link),
            _ => None,
        }
    }

    /// Returns the name if the recipient is a channel by name.
    pub fn named_channel(&self) -> Option<&ChannelName> {
        match &self.kind {
            Kind::NamedChannel(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the link if the recipient is a group chat or the chat of a meeting.
    pub fn chat(&self) -> Option<&ChatLink> {
        match &self.kind {
            Kind::Chat(link) => Some(link),
            _ => None,
        }
    }

    /// Returns the object ID if the recipient is a group, whose members are notified.
    pub fn group(&self) -> Option<&str> {
        match &self.kind {
            Kind::Group(id) => Some(id),
            _ => None,
        }
    }

    /// Returns the tenant that a link names.
    pub fn tenant(&self) -> Option<&str> {
        match &self.kind {
            Kind::Channel(link) => link.tenant.as_deref(),
            Kind::Chat(link) => link.tenant.as_deref(),
            _ => None,
        }
    }

    /// Returns the tenant that a link names if it is not this one, so that the app cannot post there. A tenant can also be a domain
    /// name, which cannot be compared.
    pub fn foreign_tenant(&self, own: &str) -> Option<&str> {
        let other = self.tenant()?;
        (is_guid(own) && is_guid(other) && !other.eq_ignore_ascii_case(own)).then_some(other)
    }

    /// Returns whether this is a user name, such as that of a requester, in whatever letter case.
    pub fn is_user_name(&self, user: &str) -> bool {
        let user = user.trim().chars().flat_map(char::to_lowercase);
        self.is_person() && self.identity().eq(user)
    }

    pub fn is_email(&self) -> bool {
        matches!(self.kind, Kind::Email)
    }

    /// Returns the canonical form for comparisons, as an iterator: every event compares every recipient.
    fn identity(&self) -> impl Iterator<Item = char> {
        let (parts, any_case): ([&str; 3], _) = match &self.kind {
            Kind::Email | Kind::UserId => ([&self.raw, "", ""], true),
            Kind::Group(id) => ([GROUP, id, ""], true),
            Kind::NamedChannel(name) => ([&name.team, "/", &name.channel], true),
            Kind::Channel(link) => ([&link.thread, "", ""], false),
            Kind::Chat(link) => ([&link.thread, "", ""], false),
        };
        let letters = parts.into_iter().flat_map(str::chars);
        letters.flat_map(move |c| {
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
            Kind::UserId | Kind::Group(_) | Kind::NamedChannel(_) => f.write_str(&self.raw),
            Kind::Channel(link) => f.write_str(&link.thread),
            Kind::Chat(link) => f.write_str(&link.thread),
        }
    }
}

impl fmt::Display for Address {
    /// Writes the same as `Debug`, because logs must not contain a full email address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

fn group(id: &str) -> Result<String, String> {
    let is_id = is_guid(id);
    is_id
        .then(|| id.to_ascii_lowercase())
        .ok_or_else(|| "group: must be followed by the object ID (GUID) of a group".to_owned())
}

/// Checks the name of a team or a channel.
fn name(what: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!(
            "the name of the {what} is missing: expected \"Team name/Channel name\""
        ));
    }
    if text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(format!(
            "the name of the {what} is too long or contains a control character"
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn is_guid(text: &str) -> bool {
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
    if domain.contains('/') {
        return Err(
            "it is neither an email address nor \"Team name/Channel name\", because of the @: write the link of the channel"
                .to_owned(),
        );
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
    fn recipients_are_people_groups_channels_or_chats() {
        check("alice@example.com", Ok("a…@example.com"));
        check(" o'brien@example.com ", Ok("o…@example.com"));
        check("üser@exämple.com", Ok("ü…@exämple.com"));
        check("a_b.com#EXT#@t.onmicrosoft.com", Ok("a…@t.onmicrosoft.com"));
        let id = "a36aec2e-f11c-4219-b79a-19ffff57de70";
        check(id, Ok(id));
        let link = "https://teams.microsoft.com/l/channel/19%3ae06a7383ed98468f90217a35fa1980d7%40thread.tacv2/\
                    Approval%2520Channel%25202?groupId=f2b3c8ed-5502-4449-b76f-dc3acea81f1c&tenantId=x";
        check(link, Ok("19:e06a7383ed98468f90217a35fa1980d7@thread.tacv2"));
        let chat = "https://teams.cloud.microsoft/l/chat/19%3ameeting_Mz%40thread.v2/conversations?context=x";
        check(chat, Ok("19:meeting_Mz@thread.v2"));
        check(
            "group:A36AEC2E-f11c-4219-b79a-19ffff57de70",
            Ok("group:A36AEC2E-f11c-4219-b79a-19ffff57de70"),
        );
        check("R/D, Köln / Zugänge #1", Ok("R/D, Köln / Zugänge #1"));
        let label = |text: &str| Address::parse(text).unwrap().label();
        assert_eq!(label(link).as_deref(), Some("#Approval Channel 2"));
        assert_eq!(label("alice@example.com").as_deref(), Some("alice@example.com"));
        assert_eq!(label("Security/Approvals").as_deref(), Some("#Approvals"));
        assert_eq!((label(id), label(chat)), (None, None));
    }

    #[test]
    fn each_recipient_has_one_kind() {
        let kinds = |text: &str| {
            let address = Address::parse(text).unwrap();
            let place = address.channel().is_some() || address.named_channel().is_some();
            assert_eq!(address.is_channel(), place, "{text}");
            [
                address.is_person(),
                place,
                address.chat().is_some(),
                address.group().is_some(),
            ]
        };
        let id = "a36aec2e-f11c-4219-b79a-19ffff57de70";
        assert_eq!(kinds("a@b.c"), [true, false, false, false]);
        assert_eq!(kinds(id), [true, false, false, false]);
        assert_eq!(kinds("Team/Channel"), [false, true, false, false]);
        assert_eq!(
            kinds("https://teams.microsoft.com/l/chat/19:x@thread.v2/0"),
            [false, false, true, false]
        );
        assert_eq!(kinds(&format!("group: {id}")), [false, false, false, true]);
        let name = Address::parse("R/D, Köln / Zugänge #1").unwrap();
        let name = name.named_channel().unwrap().clone();
        assert_eq!((name.team.as_str(), name.channel.as_str()), ("R/D, Köln", "Zugänge #1"));
    }

    #[test]
    fn other_text_is_refused_with_its_reason() {
        check("", Err("empty"));
        check("devs-msteams-channel", Err("neither an email address"));
        check("Foo <a@b.c>", Err("bare email address"));
        check("a@b@c.d", Err("more than one @"));
        check("@b.c", Err("missing"));
        check("R&D @ Home/Zugänge", Err("write the link of the channel"));
        check("group:devs", Err("object ID"));
        check(
            "teams.microsoft.com/l/channel/19%3aa%40thread.tacv2/x",
            Err("without https://"),
        );
        check("Team/", Err("the name of the channel is missing"));
        check("/Channel", Err("the name of the team is missing"));
        check(&format!("Team/{}", "x".repeat(257)), Err("too long"));
        check("Te\u{7}am/Channel", Err("control character"));
    }

    #[test]
    fn only_the_ids_of_tenants_are_compared() {
        let (own, other) = (
            "a36aec2e-f11c-4219-b79a-19ffff57de70",
            "b36aec2e-f11c-4219-b79a-19ffff57de70",
        );
        for (named, configured, is_foreign) in [
            (own.to_uppercase().as_str(), own, false),
            (other, own, true),
            ("example.com", own, false),
            (other, "example.com", false),
        ] {
            let link = format!("https://teams.microsoft.com/l/chat/19:x@thread.v2/0?tenantId={named}");
            let address = Address::parse(&link).unwrap();
            let expected = is_foreign.then_some(named);
            assert_eq!(address.foreign_tenant(configured), expected, "{named} {configured}");
        }
        assert_eq!(Address::parse("a@b.c").unwrap().foreign_tenant(own), None);
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
        let parsed = |text: &str| Address::parse(text).unwrap();
        assert_eq!(parsed("Security/Approvals"), parsed("security/approvals"));
        assert_eq!(parsed("Security/Approvals"), parsed("Security / Approvals"));
        let id = "a36aec2e-f11c-4219-b79a-19ffff57de70";
        assert_eq!(parsed(&format!("group: {id}")), parsed(&format!("group:{id}")));
        assert_ne!(parsed(id), parsed(&format!("group:{id}")));
        assert_ne!(
            parsed("https://teams.microsoft.com/l/chat/19:x@thread.v2/0"),
            parsed("https://teams.microsoft.com/l/chat/19:X@thread.v2/0")
        );
    }
}
