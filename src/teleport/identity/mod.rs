//! Our identity in the cluster: a key, its certificate, and the authorities we trust.
//!
//! Architecture Invariant: loads and parses files; never dials.

mod follow;
mod identity_file;
mod keyring;
mod subject;

pub use follow::IdentityEvent;
pub(super) use follow::credentials_error;
pub use identity_file::Identity;
pub(super) use identity_file::IdentityError;
pub use keyring::Keyring;
pub(super) use subject::cluster_of;
