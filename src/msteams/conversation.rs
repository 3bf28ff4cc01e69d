//! The IDs of conversations: threads of channels, and links to messages.
//!
//! Architecture Invariant: pure. The form of Microsoft's IDs is here and nowhere else, except for the endings of those in links.

use crate::domain::recipients::{CHANNEL_IDS, CHAT_IDS, ChannelLink};
use crate::msteams::paths::encode;

/// What separates the ID of a channel from that of the message that began a thread.
const THREAD: &str = ";messageid=";

/// Begins the links of the public cloud.
const PUBLIC: &str = "https://teams.microsoft.com";

/// Begins the IDs that clients know. Those that begin with `a:` are known to bots only.
const SHARED: &str = "19:";

/// Returns the conversation in which a message replies to another one. A conversation that is a thread already is returned
/// unchanged, because only the first message of a thread has replies.
pub fn thread_of(conversation: &str, root: &str) -> String {
    if conversation.contains(THREAD) {
        conversation.to_owned()
    } else {
        format!("{conversation}{THREAD}{root}")
    }
}

/// Returns the object IDs in Graph's ID of a chat between two, such as `19:<user>_<app>@unq.gbl.spaces`. Other IDs contain
/// none.
///
/// Source: the example of `userscopeteamsappinstallation-get-chat.md` in microsoft-graph-docs-contrib. The order is not
/// documented.
pub fn members_of(conversation: &str) -> impl Iterator<Item = &str> {
    let body = conversation.strip_prefix(SHARED).unwrap_or_default();
    let members = body.split_once("@unq").map_or("", |(members, _)| members);
    members.split('_').filter(|id| uuid::Uuid::try_parse(id).is_ok())
}

/// Returns the channel of a thread, and any other conversation unchanged.
pub(crate) fn channel_of(conversation: &str) -> &str {
    parts(conversation).0
}

/// Returns the conversation, and the first message of the thread if it is one.
fn parts(conversation: &str) -> (&str, Option<&str>) {
    match conversation.split_once(THREAD) {
        Some((channel, root)) => (channel, Some(root)),
        None => (conversation, None),
    }
}

/// A conversation that several people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelOrChat {
    Channel,
    /// A group chat, or the chat of a meeting.
    Chat,
}

impl ChannelOrChat {
    /// Returns the kind of a conversation; `None` for a chat with one person.
    pub(crate) fn of(conversation: &str) -> Option<Self> {
        let place = channel_of(conversation);
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| place.ends_with(ending));
        if ends_with(&CHANNEL_IDS) {
            Some(Self::Channel)
        } else {
            ends_with(&CHAT_IDS).then_some(Self::Chat)
        }
    }
}

/// Returns the link of a channel, in the form that Teams copies, which encodes the name twice.
pub(crate) fn channel_link(teams: &str, channel: &ChannelLink, tenant: &str) -> String {
    let (thread, name) = (encode(&channel.thread), encode(&encode(&channel.name)));
    let (team, tenant) = (encode(&channel.team), encode(tenant));
    format!("{teams}/l/channel/{thread}/{name}?groupId={team}&tenantId={tenant}")
}

/// Returns the link that opens a message in Teams of the public cloud. Links of the configured cloud come from
/// [`Teams::message_link`](crate::msteams::Teams::message_link).
pub fn message_link(conversation: &str, activity: &str, team: Option<&str>, tenant: &str) -> Option<String> {
    link(PUBLIC, conversation, activity, team, tenant)
}

/// Returns the link that opens a message in Teams; `None` if the IDs are not ones that clients know. `team` is the team of
/// a channel.
///
/// Source: Microsoft's page on deep links. Clients find a message in a channel by its team, and in a chat by the context.
pub(crate) fn link(
    teams: &str,
    conversation: &str,
    activity: &str,
    team: Option<&str>,
    tenant: &str,
) -> Option<String> {
    let (place, root) = parts(conversation);
    if !place.starts_with(SHARED) || activity.is_empty() {
        return None;
    }
    let query = match team {
        Some(team) => {
            let (team, tenant, root) = (encode(team), encode(tenant), encode(root.unwrap_or(activity)));
            format!("tenantId={tenant}&groupId={team}&parentMessageId={root}")
        }
        None if ChannelOrChat::of(place) == Some(ChannelOrChat::Channel) => return None,
        None => format!("context={}", encode(r#"{"contextType":"chat"}"#)),
    };
    let (place, activity) = (encode(place), encode(activity));
    Some(format!("{teams}/l/message/{place}/{activity}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recipients::Address;

    #[test]
    fn a_reply_is_sent_to_the_thread_of_its_root_and_counts_for_the_channel() {
        let reply = thread_of("19:x@thread.tacv2", "17");
        assert_eq!(reply, "19:x@thread.tacv2;messageid=17");
        assert_eq!(thread_of(&reply, "18"), reply);
        assert_eq!(channel_of(&reply), "19:x@thread.tacv2");
        assert_eq!(channel_of("a:1"), "a:1");
    }

    #[test]
    fn the_link_of_a_channel_is_read_back() {
        let link = ChannelLink {
            thread: "19:x_Y@thread.tacv2".to_owned(),
            team: "f2b3c8ed-5502-4449-b76f-dc3acea81f1c".to_owned(),
            name: "Zugänge #1/2 %".to_owned(),
            tenant: Some("t1".to_owned()),
        };
        let address = Address::parse(&channel_link(PUBLIC, &link, "t1")).unwrap();
        assert_eq!(address.channel(), Some(&link));
    }

    #[test]
    fn a_chat_of_graph_names_its_members() {
        let (user, app) = (
            "8d2ebb31-7109-4019-a596-2b06d540db6b",
            "2d3a1c0e-7c1b-4f0e-9a57-3c9b8f5d2e11",
        );
        let chat = format!("19:{user}_{app}@unq.gbl.spaces");
        assert_eq!(members_of(&chat).collect::<Vec<_>>(), [user, app]);
        for other in ["19:a_b@unq.gbl.spaces", "19:x@thread.tacv2", "a:17vx", ""] {
            assert_eq!(members_of(other).count(), 0, "{other}");
        }
    }

    #[test]
    fn a_message_is_linked_where_clients_know_its_ids() {
        const CHAT: &str = "19:u_b@unq.gbl.spaces";
        const CHANNEL: &str = "19:x@thread.tacv2";
        let team = Some("team");
        for (conversation, activity, team, expected) in [
            (
                CHAT,
                "17",
                None,
                Some(
                    "https://teams.microsoft.com/l/message/19%3Au_b%40unq.gbl.spaces/17\
                     ?context=%7B%22contextType%22%3A%22chat%22%7D",
                ),
            ),
            (
                CHANNEL,
                "17",
                team,
                Some(
                    "https://teams.microsoft.com/l/message/19%3Ax%40thread.tacv2/17\
                     ?tenantId=tenant%26&groupId=team&parentMessageId=17",
                ),
            ),
            (
                "19:x@thread.tacv2;messageid=16",
                "17",
                team,
                Some(
                    "https://teams.microsoft.com/l/message/19%3Ax%40thread.tacv2/17\
                     ?tenantId=tenant%26&groupId=team&parentMessageId=16",
                ),
            ),
            (CHANNEL, "17", None, None),
            ("a:1", "17", None, None),
            (CHAT, "", None, None),
            ("", "17", None, None),
        ] {
            let link = message_link(conversation, activity, team, "tenant&");
            assert_eq!(link.as_deref(), expected, "{conversation}");
        }
        let odd = message_link("19:a/b?c", "1#2", None, "").unwrap();
        assert!(odd.contains("/l/message/19%3Aa%2Fb%3Fc/1%232?"), "{odd}");
    }
}
