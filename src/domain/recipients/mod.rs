//! Recipients: addresses, and the table that routes requests to them.
//!
//! Architecture Invariant: an address is only parsed text; `msteams` finds out whether it exists.

mod address;
mod delegate;
mod groups;
mod link;
mod person;
mod reason;
mod routing;
mod suggested;

pub use address::{Address, ChannelName};
pub use delegate::{Delegate, addresses_in, choose_delegate};
pub use groups::GroupMembers;
pub use link::{CHANNEL_IDS, CHAT_IDS, ChannelLink, ChatLink};
pub use person::Person;
pub use reason::Reason;
pub use routing::{Recipients, RoutingTable};
pub use suggested::SuggestedReviewers;
