//! The Adaptive Card of a request, the other messages about it, and the reminder of Access Lists.
//!
//! Architecture Invariant: text that people wrote reaches a card only through `text`, and a card always stays below what
//! Teams accepts.

mod access_lists;
mod buttons;
mod cluster;
mod decision;
mod details;
mod digest;
mod drawing;
mod elements;
mod ending;
mod example;
mod instructions;
mod layout;
mod long;
mod message;
mod reader;
mod reminder;
mod schema;
mod text;
mod time;
mod view;
mod wording;

pub use access_lists::{DueList, access_lists};
pub use cluster::CardCluster;
pub use decision::decision;
pub use digest::{DigestLine, digest};
pub use ending::access_ends;
pub use example::{example, greeting};
pub use instructions::Instructions;
pub use message::{Content, Message};
pub use reader::{Place, Reader, Role};
pub use reminder::{ReminderKind, reminder};
pub use schema::Card;
pub use view::{Remembered, View};
