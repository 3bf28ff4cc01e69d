//! The Adaptive Card of a request.
//!
//! Architecture Invariant: text that people wrote reaches a card only through `text`, and a card always stays below what
//! Teams accepts.

mod cluster;
mod example;
mod layout;
mod message;
mod schema;
mod text;

pub use cluster::CardCluster;
pub use example::{example, greeting};
pub use layout::Remembered;
pub use message::{Message, of_record, of_request};
pub use schema::Card;
