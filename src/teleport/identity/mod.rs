//! Who we are in the cluster: a key, its certificate, and the authorities we trust.
//!
//! Architecture Invariant: reads files and understands them; never dials.

mod identity_file;
mod subject;

pub use identity_file::Identity;
pub(super) use identity_file::IdentityError;
pub(super) use subject::cluster_of;
