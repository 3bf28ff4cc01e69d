//! Places that several people read: channels in teams, and group chats.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use uuid::Uuid;

use crate::tenant::call::{Asked, Reply, filter};
use crate::tenant::graph::list;
use crate::tenant::state::{GroupChat, Team, World};
use crate::tenant::{Card, Tenant};

/// Finds teams by their name.
pub(super) fn teams(world: &World, asked: &Asked) -> Reply {
    let Some(name) = asked.query("$filter").and_then(|text| filter(text, "displayName")) else {
        return Reply::error(400, "BadRequest", "Invalid filter clause");
    };
    let found = world.teams.iter().filter(|team| same(&team.name, &name));
    list(
        found
            .map(|team| json!({"id": team.id, "displayName": team.name}))
            .collect(),
    )
}

/// Finds channels of a team by their name.
pub(super) fn channels(world: &World, asked: &Asked, id: &str) -> Reply {
    let Some(name) = asked.query("$filter").and_then(|text| filter(text, "displayName")) else {
        return Reply::error(400, "BadRequest", "Invalid filter clause");
    };
    let Some(team) = world.teams.iter().find(|team| team.id == id) else {
        return Reply::error(404, "NotFound", "No team found with Group Id");
    };
    let found = team.channels.iter().filter(|(_, own)| same(own, &name));
    list(
        found
            .map(|(thread, name)| json!({"id": thread, "displayName": name}))
            .collect(),
    )
}

/// Returns whether the app may post in a channel or a group chat; `None` for other conversations.
pub(super) fn is_open(world: &World, conversation: &str) -> Option<bool> {
    if let Some(chat) = world.group_chats.iter().find(|chat| chat.thread == conversation) {
        return Some(chat.installed);
    }
    let has_it = |team: &&Team| team.channels.iter().any(|(thread, _)| thread == conversation);
    let team = world.teams.iter().find(has_it)?;
    Some(team.installed && !world.private_channels.contains(conversation))
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Tenant {
    /// Gives the channels of a team with this name another name.
    pub fn rename_channel(&self, team: &str, old: &str, new: &str) {
        self.change(|world| {
            let teams = world.teams.iter_mut().filter(|known| known.name == team);
            let channels = teams.flat_map(|team| &mut team.channels);
            for (_, name) in channels.filter(|(_, name)| name == old) {
                new.clone_into(name);
            }
        });
    }

    /// Adds a channel to a team, which is created if it does not exist, and returns its link.
    pub fn add_channel(&self, team: &str, name: &str) -> String {
        let thread = format!("19:{}@thread.tacv2", Uuid::new_v4().simple());
        let id = self.change(|world| {
            let at = world
                .teams
                .iter()
                .position(|known| known.name == team)
                .unwrap_or_else(|| {
                    world.teams.push(Team {
                        id: Uuid::new_v4().to_string(),
                        name: team.to_owned(),
                        installed: true,
                        version: world.options.version.clone(),
                        channels: Vec::new(),
                    });
                    world.teams.len() - 1
                });
            let team = &mut world.teams[at];
            team.channels.push((thread.clone(), name.to_owned()));
            team.id.clone()
        });
        format!(
            "https://{}/l/channel/{}/{}?groupId={id}&tenantId={}",
            self.options().cloud.links(),
            encode(&thread),
            encode(&encode(name)),
            self.options().tenant_id
        )
    }

    /// Removes the app from a team, or adds it again.
    pub fn set_team_installed(&self, team: &str, installed: bool) {
        self.change(|world| {
            for known in world.teams.iter_mut().filter(|known| known.name == team) {
                known.installed = installed;
            }
        });
    }

    /// Makes a channel private, by its link. Such a channel does not have the app of its team.
    pub fn make_private(&self, link: &str) {
        self.change(|world| world.private_channels.insert(thread_of(link)));
    }

    /// Adds the app to a private channel, by its link.
    pub fn add_to_private(&self, link: &str) {
        self.change(|world| world.private_channels.remove(&thread_of(link)));
    }

    /// Adds a group chat, or the chat of a meeting, and returns its link.
    pub fn add_group_chat(&self, is_meeting: bool, installed: bool) -> String {
        let kind = if is_meeting { "meeting_" } else { "" };
        let thread = format!("19:{kind}{}@thread.v2", Uuid::new_v4().simple());
        let link = format!(
            "https://{}/l/chat/{}/conversations",
            self.options().cloud.links(),
            encode(&thread)
        );
        self.change(|world| world.group_chats.push(GroupChat { thread, installed }));
        link
    }

    /// Adds the app to a group chat, by its link.
    pub fn add_to_chat(&self, link: &str) {
        let thread = thread_of(link);
        self.change(|world| {
            for chat in world.group_chats.iter_mut().filter(|chat| chat.thread == thread) {
                chat.installed = true;
            }
        });
    }

    /// Returns the messages in a channel or a group chat, by its link.
    pub fn channel_cards(&self, link: &str) -> Vec<Card> {
        self.change_quietly(|world| world.chats.get(&thread_of(link)).cloned().unwrap_or_default())
    }
}

/// Returns the conversation that a link names.
fn thread_of(link: &str) -> String {
    let thread = link.split('/').find(|part| part.contains("%40thread"));
    let decoded = percent_encoding::percent_decode_str(thread.unwrap_or_default());
    decoded.decode_utf8_lossy().into_owned()
}
