//! Links that Teams copies: of channels, group chats and the chats of meetings.
//!
//! Source: Microsoft's page on deep links (`concepts/build-and-test/deep-link-teams.md` in MicrosoftDocs/msteams-docs).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::domain::recipients::address::is_guid;

/// What a link to a Teams channel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLink {
    /// The conversation, such as `19:…@thread.tacv2`.
    pub thread: String,
    /// The ID of the team that the channel is in; of a shared channel, the team that hosts it.
    pub team: String,
    /// The name of the channel, as the link contains it.
    pub name: String,
    /// The tenant, if the link names one.
    pub tenant: Option<String>,
}

/// What a link to a group chat or the chat of a meeting says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatLink {
    /// The conversation, such as `19:…@thread.v2` or `19:meeting_…@thread.v2`.
    pub thread: String,
    /// The tenant, if the link names one.
    pub tenant: Option<String>,
}

/// A link to a place where a card can be posted.
pub(super) enum Link {
    Channel(ChannelLink),
    Chat(ChatLink),
}

/// Hosts with links to Teams (`@microsoft/teams-js` 2.58, valid origins).
const LINK_HOSTS: [&str; 6] = [
    "teams.microsoft.com",
    "teams.cloud.microsoft",
    "gov.teams.microsoft.us",
    "dod.teams.microsoft.us",
    "teams.microsoft.us",
    "teams.microsoftonline.cn",
];

/// How the IDs of channels end; the second form is older.
pub const CHANNEL_IDS: [&str; 2] = ["@thread.tacv2", "@thread.skype"];

/// How the IDs of group chats and of the chats of meetings end. Links of channels with such an ID are accepted.
pub const CHAT_IDS: [&str; 1] = ["@thread.v2"];

impl Link {
    /// Reads `https://teams.microsoft.com/l/channel/<thread>/<name>?groupId=<team>` or `…/l/chat/<thread>/…`; a `tenantId` may be
    /// missing.
    ///
    /// Stricter than the Go plugin, which accepts any host and any path of five parts.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is not a link: {error}"))?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "https" || !LINK_HOSTS.contains(&host) {
            return Err(format!("it is not a link to Teams: {}://{host}", url.scheme()));
        }
        let segments: Vec<_> = url.path_segments().into_iter().flatten().collect();
        match segments[..] {
            ["l", "channel", thread, name] => channel(&url, thread, name).map(Self::Channel),
            ["l", "chat", "0", ..] => {
                Err("it is a link to a new chat: write the email address of the person".to_owned())
            }
            ["l", "chat", thread] | ["l", "chat", thread, _] => chat(&url, thread).map(Self::Chat),
            _ => Err(
                "it is not a link to a channel or a chat: expected /l/channel/<id>/<name> or /l/chat/<id>".to_owned(),
            ),
        }
    }
}

fn channel(url: &Url, thread: &str, name: &str) -> Result<ChannelLink, String> {
    let thread = id(thread, "channel")?;
    if !is_thread(&thread, &CHANNEL_IDS) && !is_thread(&thread, &CHAT_IDS) {
        return Err(format!("its channel ID is invalid: {thread:?}"));
    }
    let team = value(url, "groupId").unwrap_or_default();
    if !is_guid(&team) {
        return Err("it has no groupId=<team ID>".to_owned());
    }
    Ok(ChannelLink {
        thread,
        team,
        name: decoded(&decoded(name)),
        tenant: value(url, "tenantId"),
    })
}

fn chat(url: &Url, thread: &str) -> Result<ChatLink, String> {
    let thread = id(thread, "chat")?;
    if thread.ends_with(".spaces") {
        return Err("it is a link to a chat between two people: write the email address of the person".to_owned());
    }
    if !is_thread(&thread, &CHAT_IDS) {
        return Err(format!("its chat ID is invalid: {thread:?}"));
    }
    Ok(ChatLink {
        thread,
        tenant: value(url, "tenantId"),
    })
}

/// Decodes the ID in a link.
fn id(text: &str, what: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| format!("its {what} ID is not UTF-8"))
}

/// Returns a value of the query that is not empty.
fn value(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

/// Decodes the name of a channel. Teams encodes it twice in the links that its users copy.
fn decoded(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// Returns whether the text is the ID of a conversation, such as `19:…@thread.tacv2`, with one of these endings.
fn is_thread(text: &str, endings: &[&str]) -> bool {
    let body = text.strip_prefix("19:").unwrap_or_default();
    let (name, ending) = body.split_at(body.find('@').unwrap_or_default());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !name.is_empty() && name.bytes().all(fits) && endings.contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEAM: &str = "f2b3c8ed-5502-4449-b76f-dc3acea81f1c";

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let reason = Link::parse(text).err().expect(text);
        assert!(reason.contains(part), "{text}: {reason}");
    }

    #[test]
    fn channels_of_every_kind_are_read_from_every_host() {
        for host in LINK_HOSTS {
            for (query, tenant) in [
                (format!("groupId={TEAM}"), None),
                (format!("groupId={TEAM}&tenantId="), None),
                (format!("groupId={TEAM}&tenantId=t1"), Some("t1")),
                (format!("groupId={TEAM}&tenantId=t1&ngc=true"), Some("t1")),
                (
                    format!("tenantId=t1&groupId={TEAM}&ngc=true&allowXTenantAccess=true"),
                    Some("t1"),
                ),
            ] {
                let text = format!("https://{host}/l/channel/19%3Aa-b_C%40thread.tacv2/Zug%25C3%25A4nge?{query}");
                let Ok(Link::Channel(link)) = Link::parse(&text) else {
                    panic!("{text}");
                };
                let expected = ChannelLink {
                    thread: "19:a-b_C@thread.tacv2".to_owned(),
                    team: TEAM.to_owned(),
                    name: "Zugänge".to_owned(),
                    tenant: tenant.map(str::to_owned),
                };
                assert_eq!(link, expected, "{text}");
            }
        }
    }

    #[test]
    fn chats_of_groups_and_meetings_are_read_from_every_host() {
        for host in LINK_HOSTS {
            for (thread, rest, tenant) in [
                ("19:a-b_C@thread.v2", "", None),
                ("19%3Aa%40thread.v2", "/conversations", None),
                ("19:meeting_Mz@thread.v2", "/0?tenantId=t1", Some("t1")),
                (
                    "19%3ameeting_Mz%40thread.v2",
                    "/conversations?context=%7B%22contextType%22%3A%22chat%22%7D",
                    None,
                ),
            ] {
                let text = format!("https://{host}/l/chat/{thread}{rest}");
                let Ok(Link::Chat(link)) = Link::parse(&text) else {
                    panic!("{text}");
                };
                let thread = percent_decode_str(thread).decode_utf8().unwrap().into_owned();
                assert_eq!((link.thread, link.tenant.as_deref()), (thread, tenant), "{text}");
            }
        }
    }

    #[test]
    fn other_links_are_refused_with_their_reason() {
        let channel = "https://teams.microsoft.com/l/channel";
        refused(
            "https://evil.example/l/channel/19%3aa%40thread.tacv2/x?groupId=1",
            "not a link to Teams",
        );
        refused("http://teams.microsoft.com/l/channel/a/b", "not a link to Teams");
        refused(
            "https://teams.microsoft.com.evil.example/l/chat/19:a@thread.v2/0",
            "not a link to Teams",
        );
        refused(
            "https://teams.microsoft.com/l/team/a/b",
            "not a link to a channel or a chat",
        );
        refused("https://teams.microsoft.com/v2/", "not a link to a channel or a chat");
        refused(
            &format!("{channel}/19%3asome%2f%40thread.tacv2/x?groupId={TEAM}"),
            "channel ID is invalid",
        );
        refused(
            &format!("{channel}/19%3aa%40thread.tacv2%2f..%2fx/x?groupId={TEAM}"),
            "channel ID is invalid",
        );
        refused(&format!("{channel}/19%3aa%40thread.tacv2/x"), "groupId");
        refused(&format!("{channel}/%ff/x?groupId={TEAM}"), "not UTF-8");
        let chat = "https://teams.microsoft.com/l/chat";
        refused(&format!("{chat}/0/0?users=a@b.c"), "link to a new chat");
        refused(&format!("{chat}/19:a_b@unq.gbl.spaces/0"), "chat between two people");
        refused(&format!("{chat}/19:a@thread.tacv2/0"), "chat ID is invalid");
        refused(&format!("{chat}/a:1/0"), "chat ID is invalid");
    }
}
