//! The small company that the sandbox pretends: who is there, and who is told of which role.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;

use world::tenant::{Tenant, User};

/// Somebody with a chat, or a channel.
#[derive(Clone, Debug, Serialize)]
pub struct Chat {
    /// A mail address or the link of a channel, which is what a recipient is called.
    pub id: String,
    pub title: String,
    pub detail: String,
    pub kind: &'static str,
}

pub struct Company {
    /// People first, then channels.
    pub chats: Vec<Chat>,
    users: BTreeMap<String, User>,
}

const TEAM: &str = "Platform";

/// Name and mail address; whether the app is installed for them from the beginning.
const PEOPLE: [(&str, &str, bool); 5] = [
    ("Alice Archer", "alice@example.com", true),
    ("Bob Baker", "bob@example.com", true),
    ("Carol Castillo", "carol@example.com", true),
    ("Dan O'Dell", "dan.o'dell@example.com", false),
    ("Eve Évariste", "eve@example.com", false),
];

const CHANNELS: [&str; 2] = ["Access requests", "Databases"];

/// Roles, and the titles of the chats that the configuration names for each. `*` stands for every other role.
const ROUTES: [(&str, &[&str]); 4] = [
    ("admin", &["Access requests", "Databases"]),
    ("dba", &["Databases"]),
    ("dev", &["Access requests"]),
    ("*", &["Access requests"]),
];

impl Company {
    /// Moves the company into a tenant.
    pub fn found(tenant: &Tenant) -> Self {
        let mut users = BTreeMap::new();
        let mut chats = Vec::new();
        for (name, mail, installed) in PEOPLE {
            let user = tenant.add_user(name, Some(mail), mail);
            if !installed {
                tenant.uninstall(&user);
            }
            users.insert(mail.to_owned(), user);
            chats.push(Chat {
                id: mail.to_owned(),
                title: name.to_owned(),
                detail: mail.to_owned(),
                kind: "person",
            });
        }
        for name in CHANNELS {
            chats.push(Chat {
                id: tenant.add_channel(TEAM, name),
                title: name.to_owned(),
                detail: format!("Channel of the team {TEAM}"),
                kind: "channel",
            });
        }
        Self { chats, users }
    }

    pub fn people(&self) -> impl Iterator<Item = &Chat> {
        self.chats.iter().filter(|chat| chat.kind == "person")
    }

    /// Returns the user behind a chat.
    ///
    /// # Errors
    /// There is no such person.
    pub fn user(&self, chat: &str) -> anyhow::Result<&User> {
        self.users.get(chat).context("there is no such person")
    }

    /// Returns the mail address of the person with that first name.
    pub fn mail(&self, first_name: &str) -> String {
        let mut people = self.people().map(|person| person.id.as_str());
        let mail = people.find(|mail| mail.starts_with(first_name));
        mail.expect("the story speaks of people who exist").to_owned()
    }

    /// Returns every role of the configuration with the chats that it names.
    pub fn routes(&self) -> impl Iterator<Item = (&'static str, Vec<&Chat>)> {
        ROUTES.into_iter().map(|(role, titles)| {
            let named = self.chats.iter().filter(|chat| titles.contains(&chat.title.as_str()));
            (role, named.collect())
        })
    }

    /// Returns the ids of the chats that are told of a role.
    pub fn recipients(&self, role: &str) -> Vec<String> {
        let mut routes = self.routes();
        let route = routes.find(|(name, _)| *name == role).or_else(|| self.routes().last());
        let chats = route.map(|(_, chats)| chats).unwrap_or_default();
        chats.into_iter().map(|chat| chat.id.clone()).collect()
    }
}
