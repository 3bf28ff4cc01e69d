//! The users and channels of the sandbox, and the recipients of each role.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;

use world::cluster::{Cluster, ListDraft};
use world::tenant::{Tenant, User};

/// The chat of a user, or a channel.
#[derive(Clone, Debug, Serialize)]
pub struct Chat {
    /// The recipient as in the configuration: an email address or the link of a channel.
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

/// The trait of a Teleport user that names the user in Microsoft Teams.
const USER_ID: &str = "teams_user_id";

/// The first names of the people whose roles do not let them review.
const BARRED: &[&str] = &["eve"];

const TEAM: &str = "Platform";

/// Name and email address of each user, and whether the app is installed for the user at the start.
const PEOPLE: [(&str, &str, bool); 5] = [
    ("Alice Archer", "alice@example.com", true),
    ("Bob Baker", "bob@example.com", true),
    ("Carol Castillo", "carol@example.com", true),
    ("Dan O'Dell", "dan.o'dell@example.com", false),
    ("Eve Évariste", "eve@example.com", false),
];

/// The first names of people and of their managers.
const MANAGERS: [(&str, &str); 2] = [("alice", "carol"), ("bob", "carol")];

/// The first name of the recipient of all escalated requests.
const ESCALATED_TO: &str = "dan";

/// An Access List that is due for review: its ID, its title, and the email address of its owner.
const DUE: (&str, &str, &str) = ("4b0e8a52-on-call", "On-call engineers", "carol@example.com");

const CHANNELS: [&str; 2] = ["Access requests", "Databases"];

/// Each role with the titles of its recipients' chats in the configuration. `*` stands for all other roles.
const ROUTES: [(&str, &[&str]); 4] = [
    ("admin", &["Access requests", "Databases"]),
    ("dba", &["Databases"]),
    ("dev", &["Access requests"]),
    ("*", &["Access requests"]),
];

impl Company {
    /// Creates the users and channels in a tenant, and the same users in a cluster.
    pub fn create(cluster: &Cluster, tenant: &Tenant) -> Self {
        let mut users = BTreeMap::new();
        let mut chats = Vec::new();
        for (name, mail, installed) in PEOPLE {
            let user = tenant.add_user(name, Some(mail), mail);
            if !installed {
                tenant.uninstall(&user);
            }
            cluster.set_traits(mail, false, &[(USER_ID, &[&user.id])]);
            if BARRED.iter().any(|first_name| mail.starts_with(first_name)) {
                cluster.bar_reviewer(mail);
            }
            users.insert(mail.to_owned(), user);
            chats.push(Chat {
                id: mail.to_owned(),
                title: name.to_owned(),
                detail: mail.to_owned(),
                kind: "person",
            });
        }
        let named = |first_name: &str| users.values().find(|user: &&User| user.upn.starts_with(first_name));
        for (person, manager) in MANAGERS {
            if let (Some(person), Some(manager)) = (named(person), named(manager)) {
                tenant.set_manager(person, manager);
            }
        }
        let (list, title, owner) = DUE;
        cluster.put_access_list(ListDraft::new(list, title, &[owner]));
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
    /// The user does not exist.
    pub fn user(&self, chat: &str) -> anyhow::Result<&User> {
        self.users.get(chat).context("there is no such user")
    }

    /// Returns the email address of the person with this first name.
    pub fn mail(&self, first_name: &str) -> String {
        let mut people = self.people().map(|person| person.id.as_str());
        let mail = people.find(|mail| mail.starts_with(first_name));
        mail.expect("the story only names people who exist").to_owned()
    }

    /// Returns the email address of the recipient of all escalated requests.
    pub fn escalated_to(&self) -> String {
        self.mail(ESCALATED_TO)
    }

    /// Returns every role of the configuration with the chats of its recipients.
    pub fn routes(&self) -> impl Iterator<Item = (&'static str, Vec<&Chat>)> {
        ROUTES.into_iter().map(|(role, titles)| {
            let named = self.chats.iter().filter(|chat| titles.contains(&chat.title.as_str()));
            (role, named.collect())
        })
    }

    /// Returns the IDs of the chats that are notified for a role.
    pub fn recipients(&self, role: &str) -> Vec<String> {
        let mut routes = self.routes();
        let route = routes.find(|(name, _)| *name == role).or_else(|| self.routes().last());
        let chats = route.map(|(_, chats)| chats).unwrap_or_default();
        chats.into_iter().map(|chat| chat.id.clone()).collect()
    }
}
