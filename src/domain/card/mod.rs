//! The Adaptive Card of a request.
//!
//! Architecture Invariant: text that people wrote reaches a card only through `text`, and a card always stays below what
//! Teams accepts.

mod buttons;
mod cluster;
mod example;
mod instructions;
mod layout;
mod long;
mod message;
mod reader;
mod schema;
mod text;
mod time;
mod view;
mod wording;

pub use cluster::CardCluster;
pub use example::{example, greeting};
pub use instructions::Instructions;
pub use message::{Content, Message};
pub use reader::Reader;
pub use schema::Card;
pub use view::{Remembered, View};
