//! What we know and decide: requests, recipients, cards and the plan that brings them together.
//!
//! Architecture Invariant: pure. Values come in, values go out; nothing here waits, logs, opens a file or a
//! socket, or asks what time it is. Reasons are returned as data.

pub mod card;
pub mod explanation;
pub mod lifecycle;
pub mod recipients;
pub mod reminders;
pub mod request;
pub mod review;
pub mod rules;
