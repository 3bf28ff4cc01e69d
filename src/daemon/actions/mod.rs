//! Requests from Teams: button presses, installations of the app, and messages to the bot.
//!
//! ```text
//!  listener ──▶ endpoint ─────────▶ presses ─────────▶ review ──────────▶ answer
//!   bounded      verify, then read   one job for each   user, request,     a card or a sentence,
//!   in all ways  the body            person+request     SubmitAccessReview for the presser alone
//! ```
//!
//! Architecture Invariant: a press writes to Teleport only; the event that follows updates every card. `review.rs` is the
//! only place that submits a review, and it needs a [`Press`](crate::msteams::inbound::Press), which only a verified
//! request becomes.

mod answer;
mod certificate;
mod chats;
mod endpoint;
mod error;
mod keys;
mod presses;
mod review;
mod serve;
mod users;

pub use error::Error;
pub use serve::review_port;
pub(in crate::daemon) use serve::{Opened, open};
