//! The daemon: start, the work on Access Requests, reminders, upkeep, and shutdown.
//!
//! Architecture Invariant: the only module that uses both Teleport and Microsoft. It does no protocol work, and all
//! decisions are made in `domain`.

mod actions;
mod context;
mod courier;
mod dispatcher;
mod exempt;
mod groups;
mod inquiry;
mod outages;
mod people;
mod reminders;
mod requests;
mod start;
mod tasks;
mod upkeep;

pub use actions::{Error as ReviewPortError, review_port};
pub use courier::{Courier, Placed, Undelivered};
pub use inquiry::{Inquiry, Unanswered, inquire};
pub use requests::{FIX_RULE, GRANT_RULES};
pub use start::run;
pub use upkeep::Reloads;
