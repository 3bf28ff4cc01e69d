//! The running program: start-up, one lane for each request, the five steps of a reconcile, and the end.
//!
//! Architecture Invariant: the only module that sees both sides. It does no protocol work itself, and what it decides
//! is decided in `domain`.

mod claiming;
mod context;
mod credentials;
mod deliver;
mod lanes;
mod listing;
mod live;
mod memory;
mod missing;
mod permissions;
mod preload;
mod reconcile;
mod reload;
mod report;
mod resync;
mod routing;
mod rulebook;
mod run;
mod secret;
mod services;
mod settling;
mod step;
mod tasks;
mod trouble;
mod troubles;
mod turns;
mod waiting;
mod watchdog;

pub use reload::Reloads;
pub use run::run;
