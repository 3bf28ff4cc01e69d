//! What fails for a time: when it is logged, and who waits for its end.
//!
//! Architecture Invariant: retries nothing. It counts failures, decides which of them have a line in the log, and tells
//! when a service answers again.

mod log;
mod outage;
mod services;

pub(super) use log::OutageLog;
pub(super) use outage::{Outage, Report};
pub(super) use services::Services;
