//! Whom to tell: addresses, and the table that gives them for a request.
//!
//! Architecture Invariant: an address here is only text that was understood; whether anybody lives there is for
//! `msteams` to find out.

mod address;
mod routing;

pub use address::{Address, ChannelLink};
pub use routing::{Recipients, RoutingTable};
