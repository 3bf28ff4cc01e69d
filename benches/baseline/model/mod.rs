//! A plain model of the way in which Teleport's own plugin, written in Go, delivers.
//!
//! It does what is known of the newest versions of that plugin, and nothing clumsier. Where its way is not known, or
//! where this program's own code can do the work as well, the model has the kinder choice:
//!
//! - Identity, connection and stream of events are this program's. Nothing that is measured depends on them.
//! - It keeps its recipients for ever, and when it is not the start that is measured, it has as long as it wants to look
//!   them up.
//! - Two events of one request would be worked on in any order. Here they never meet.
//! - Requests that nobody is told of, reviews, and requests that end are left out: nothing measured makes any.
//!
//! Architecture Invariant: knows the pretend servers by their addresses alone.

mod cards;
mod microsoft;
mod pauses;
mod plugin;
mod record;

pub(crate) use microsoft::Repeat;
pub(crate) use plugin::{Begun, Plugin, START};
