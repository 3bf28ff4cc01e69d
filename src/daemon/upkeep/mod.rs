//! Upkeep of the daemon: identity, client secret, reloads, the cache of recipients, and the watchdog.
//!
//! Architecture Invariant: touches no record and no card.

pub(super) mod credentials;
mod live;
pub(super) mod permissions;
pub(super) mod preload;
pub(super) mod reload;
pub(super) mod secret;
pub(super) mod watchdog;

pub(super) use live::{InForce, Live};
pub use reload::Reloads;
