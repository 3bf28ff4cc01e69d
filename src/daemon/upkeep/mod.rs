//! Upkeep of the daemon: identity, credential of the app, reloads, the cache of recipients, and the watchdog.
//!
//! Architecture Invariant: touches no record and no card.

pub(super) mod app_credential;
pub(in crate::daemon) mod app_upgrades;
mod certificate_expiry;
pub(super) mod credentials;
mod files;
mod live;
pub(super) mod permissions;
pub(super) mod preload;
pub(super) mod reload;
pub(super) mod watchdog;

pub(super) use files::FileFollower;
pub(super) use live::{InForce, Live};
pub use reload::Reloads;
