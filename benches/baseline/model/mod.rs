//! A simple model of how Teleport's own plugin, written in Go, delivers.
//!
//! The model does what is known about the newest versions of that plugin. Where its behaviour is unknown, or where this
//! program's own code does the work equally well, the model favours the plugin:
//!
//! - Identity, connection and event stream are those of this program. No figure depends on them.
//! - It never forgets its recipients, and has no time limit to look them up unless the figure is about the start.
//! - The plugin may process two events of one request in any order. The trials never send two at the same time.
//! - Requests without recipients, reviews, and requests that expire are missing: the trials have none.
//!
//! Architecture Invariant: knows only the addresses of the fake servers.

mod cards;
mod microsoft;
mod pauses;
mod plugin;
mod record;

pub(crate) use microsoft::Repeat;
pub(crate) use plugin::{Begun, Plugin, START};
