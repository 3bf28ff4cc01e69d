//! The package of the Teams app, which an administrator uploads.
//!
//! Architecture Invariant: made from two ids and the interaction, so that the same values give the same bytes.

mod archive;
mod manifest;

pub use archive::Package;
pub use manifest::Interaction;
