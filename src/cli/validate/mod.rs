//! `validate`: checks the setup, and sends test messages.
//!
//! Architecture Invariant: changes nothing that the first card to a recipient would not change too.

mod access_lists;
mod credential;
mod everything;
mod notifications;
mod options;
mod permissions;
mod recipients;
mod results;
mod reviews;
mod rules;
mod versions;

pub(super) use options::Options;
