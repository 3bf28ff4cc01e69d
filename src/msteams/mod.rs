//! The Microsoft side: from addresses and cards to messages in Teams.
//!
//! [`Teams`] is the one handle. Below it, `service` sends requests of one service (Graph, the Bot connector) with a
//! token, in their turn, and again where that is safe; `graph` and `bot` know the paths and the JSON; `resolver` turns
//! an address into a conversation.
//!
//! Architecture Invariant: the only folder that names `reqwest` or Microsoft's JSON. Knows nothing of Teleport or of
//! requests, only addresses and cards. Logs nothing above debug: what goes wrong is returned, with its meaning,
//! its hint, and whether trying again makes sense.

mod aadsts;
mod activity;
mod answer;
mod attempts;
mod bot;
mod call_event;
mod cause;
mod credential;
mod envelope;
mod error;
mod graph;
mod hint;
mod http;
mod line;
mod pace;
mod pacing;
mod package;
mod paths;
mod permissions;
mod refusal;
mod refusals;
mod resolver;
mod send_log;
mod service;
mod single_flight;
mod teams;
mod token;
mod trust;
mod verdict;

pub use activity::Activity;
pub use call_event::{CallEvent, Endpoint, Observer};
pub use error::{Error, Meaning, Retry};
pub use graph::CatalogApp;
pub use line::{Priority, Urgency};
pub use package::Package;
pub use permissions::{PERMISSIONS, Permission};
pub use resolver::{Conversation, ConversationKind, InstalledAt};
pub use teams::Teams;
