//! What an address leads to: a person, a channel or a group chat. Names of channels are looked up in Graph.
//!
//! Architecture Invariant: limited in number and time. Of several teams or channels with a name, none is chosen.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::config::{MicrosoftSettings, OWN_TENANT};
use crate::domain::recipients::{Address, ChannelLink, ChannelName};
use crate::msteams::call_queue::{Key, Priority};
use crate::msteams::conversation::channel_link;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::graph::{Entry, Graph, failure, filter, no_key};

/// Largest number of names.
const MOST: usize = 1_000;

/// What an address leads to.
pub(crate) enum Site {
    Person,
    Channel(ChannelLink),
    /// The id of a group chat, or of the chat of a meeting.
    GroupChat(String),
}

pub(crate) struct Sites {
    tenant: String,
    /// Begins the links that open Teams.
    links: String,
    by_name: Cache<ChannelName, ChannelLink>,
}

impl Sites {
    /// `names_for` is how long a channel is remembered by its name.
    pub(crate) fn new(settings: &MicrosoftSettings, names_for: Duration) -> Self {
        Self {
            tenant: settings.tenant_id.clone(),
            links: settings.endpoints.teams.clone(),
            by_name: Cache::new(MOST, move |_| names_for),
        }
    }

    /// Finds out what an address leads to. A link contains the answer; a name is looked up.
    pub(crate) async fn find(&self, graph: &Graph, address: &Address, priority: &Priority) -> Result<Site, Error> {
        self.check_tenant(address)?;
        if let Some(chat) = address.chat() {
            return Ok(Site::GroupChat(chat.thread.clone()));
        }
        if let Some(channel) = address.channel() {
            return Ok(Site::Channel(channel.clone()));
        }
        if let Some(name) = address.named_channel() {
            // Boxed, because it is large and seldom needed.
            let look_up = || Box::pin(look_up(graph, name, priority));
            return self.by_name.get(name, look_up).await.map(Site::Channel);
        }
        if address.group().is_some() {
            let error = Error::new(Operation::ListMembers, Meaning::Rejected, Retry::Never);
            return Err(error.detail("a group has no conversation; its members are notified"));
        }
        Ok(Site::Person)
    }

    /// Returns the link of a channel by name.
    pub(crate) async fn linked(&self, graph: &Graph, address: &Address, priority: &Priority) -> Result<Address, Error> {
        let link = match self.find(graph, address, priority).await? {
            Site::Channel(channel) => Address::parse(&self.link(address, &channel)).ok(),
            Site::Person | Site::GroupChat(_) => None,
        };
        link.ok_or_else(|| Error::new(Operation::FindChannel, Meaning::Protocol, Retry::Later(None)))
    }

    /// Forgets what a name leads to.
    pub(crate) fn forget(&self, address: &Address) {
        if let Some(name) = address.named_channel() {
            self.by_name.forget(name);
        }
    }

    /// Returns the link of the channel at an address: as written, or the one to write instead of the name.
    pub(crate) fn link(&self, address: &Address, channel: &ChannelLink) -> String {
        match address.channel() {
            Some(_) => address.as_str().to_owned(),
            None => channel_link(&self.links, channel, &self.tenant),
        }
    }

    /// Rejects a link of another tenant, where the app cannot post.
    fn check_tenant(&self, address: &Address) -> Result<(), Error> {
        let Some(other) = address.foreign_tenant(&self.tenant) else {
            return Ok(());
        };
        let error = Error::new(Operation::UseLink, Meaning::Rejected, Retry::Never);
        let detail = format!("it belongs to another tenant, {other}");
        Err(error.detail(detail).with_hint(Some(OWN_TENANT)))
    }
}

/// Finds a channel by the names of its team and its own.
///
/// Source: `teams-list.md` and `channel-list.md` of microsoft-graph-docs-contrib.
async fn look_up(graph: &Graph, name: &ChannelName, priority: &Priority) -> Result<ChannelLink, Error> {
    let teams = ["v1.0", "teams"];
    let team = only(graph, Operation::FindTeam, &teams, &name.team, &no_key(), priority).await?;
    let priority = &priority.continued();
    let (channels, key) = (["v1.0", "teams", &team.id, "channels"], Arc::from(&*team.id));
    let channel = only(graph, Operation::FindChannel, &channels, &name.channel, &key, priority).await?;
    Ok(ChannelLink {
        thread: channel.id,
        team: team.id,
        name: channel.display_name.unwrap_or_else(|| name.channel.clone()),
        tenant: None,
    })
}

async fn only(
    graph: &Graph,
    operation: Operation,
    path: &[&str],
    name: &str,
    key: &Key,
    priority: &Priority,
) -> Result<Entry, Error> {
    let query = format!("{}&$select=id,displayName", filter("displayName", name));
    let url = graph.service().url(path, Some(&query));
    let found = graph.only(operation, url, key, priority).await?;
    found.ok_or_else(|| failure(operation, Meaning::NotFound, Retry::Never))
}
