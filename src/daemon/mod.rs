//! The running program: start-up, the work on access requests, what keeps it running, and the end.
//!
//! Architecture Invariant: the only module that sees both sides. It does no protocol work itself, and what it decides
//! is decided in `domain`.

mod context;
mod courier;
mod dispatcher;
mod outages;
mod requests;
mod start;
mod tasks;
mod upkeep;

pub use courier::{Courier, Placed, Undelivered};
pub use start::run;
pub use upkeep::Reloads;
