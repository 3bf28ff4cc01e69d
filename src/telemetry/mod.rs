//! Logs, metrics, health and notifications of the service manager.
//!
//! Architecture Invariant: observes and never decides.

mod diagnostics;
mod error;
mod health;
mod labels;
mod logs;
mod metrics;
mod problems;
mod process;
mod readings;
pub mod systemd;

pub use diagnostics::Diagnostics;
pub use error::Error;
pub use health::{Health, unresponsive};
pub use labels::{Delivery, Inbound, Peer, Reminder};
pub use logs::{Log, flush, start};
pub use metrics::Metrics;
pub use problems::{log_problems, log_warnings};
pub use readings::Readings;
