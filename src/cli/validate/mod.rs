//! `validate`: can people be told, and is everything else as it should be.
//!
//! Architecture Invariant: checks and tells; changes nothing but what the first card to somebody would change too.

mod everything;
mod options;
mod recipients;
mod results;
mod rules;

pub(super) use options::Options;
