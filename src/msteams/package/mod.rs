//! The package of the Teams app, which an administrator uploads.
//!
//! Architecture Invariant: made from two ids and nothing else, so that the same ids give the same bytes.

mod archive;
mod manifest;

pub use archive::Package;
