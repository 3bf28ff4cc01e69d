//! The package of the Teams app, as an administrator uploads it.
//!
//! Architecture Invariant: made of two ids and nothing else, so that the same ids give the same bytes.

mod archive;
mod manifest;

pub use archive::Package;
