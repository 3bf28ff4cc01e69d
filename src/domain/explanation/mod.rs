//! What the record of a request and the settings mean for each recipient, and what is due next.
//!
//! Architecture Invariant: decides nothing. Plans, targets and reminders come from the rooms that the daemon uses, so an
//! explanation cannot differ from what the daemon does.

mod moments;
mod recipients;

pub use moments::{Event, Moment, MomentFacts, Status, moments};
pub use recipients::{CardState, Explained, Found, Freshness, RecipientFacts, Retry, explain};
