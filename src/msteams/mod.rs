//! Microsoft Teams: from addresses and cards to messages.
//!
//! [`Teams`] is the only handle. Below it, `service` sends the requests of one service (Graph, the Bot connector) with
//! a token, within its limits, and repeats them where that is safe; `graph` and `bot` know the paths and the JSON;
//! `resolver` finds the conversation of an address.
//!
//! Architecture Invariant: the only directory that names `reqwest` or Microsoft's JSON. Knows addresses and cards, but
//! nothing of Teleport or of Access Requests. Logs nothing above debug: errors are returned, with their meaning, their
//! hint, and whether a retry makes sense.

mod aadsts;
mod activity;
mod answer;
mod app_claims;
mod assertion;
mod attempts;
mod batch;
mod bot;
mod call_event;
mod call_queue;
mod cause;
mod conversation;
mod credential;
mod envelope;
mod error;
mod federation;
mod grant;
mod graph;
mod hint;
mod http;
pub mod inbound;
mod installations;
mod installed;
mod known;
mod managed_identity;
mod managers;
mod members;
mod pace;
mod pacing;
mod package;
mod paths;
mod people;
mod permissions;
mod place;
mod presence;
mod refusal;
mod refusals;
mod resolver;
mod send_log;
mod service;
mod service_urls;
mod single_flight;
mod sites;
mod teams;
mod token;
mod trust;
mod upgrades;
mod users;
mod verdict;
mod versions;

pub use activity::Activity;
pub use assertion::thumbprint;
pub use call_event::{CallEvent, Endpoint, Observer};
pub use call_queue::{Priority, Urgency};
pub use conversation::{members_of, message_link, thread_of};
pub use credential::ActiveCredential;
#[cfg(test)]
pub(crate) use error::Operation;
pub use error::{Error, Meaning, Retry};
pub use federation::TokenFacts;
pub use graph::CatalogApp;
pub use installations::Holder;
pub use members::Members;
pub use package::{Interaction, Package};
pub use permissions::{
    FIND_BY_ALIAS, FIND_BY_NAME, FIND_MANAGER, LIST_HIDDEN_MEMBERS, LIST_MEMBERS, PERMISSIONS, Permission,
    READ_PRESENCE, UPGRADE_IN_TEAMS,
};
pub use place::{AppStatus, Conversation, ConversationKind, InstalledAt};
pub use presence::MOST_PRESENCES;
pub use teams::Teams;
pub use versions::is_older;
