//! Recipients: addresses, and the table that routes requests to them.
//!
//! Architecture Invariant: an address is only parsed text; `msteams` finds out whether it exists.

mod address;
mod routing;

pub use address::{Address, ChannelLink};
pub use routing::{Recipients, RoutingTable};
