//! Outages: when they are logged, and which requests wait for their end.
//!
//! Architecture Invariant: retries nothing. It counts failures, decides which of them are logged, and signals when a
//! service answers again.

mod log;
mod outage;
mod services;

pub(super) use log::OutageLog;
pub(super) use outage::{Outage, Report};
pub(super) use services::Services;
