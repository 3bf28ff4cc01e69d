//! What the program tells of itself.
//!
//! Architecture Invariant: observes and never decides.

mod diagnostics;
mod health;
mod logs;
mod metrics;
pub mod systemd;

pub use diagnostics::{Connection, Diagnostics};
pub use health::Health;
pub use logs::{Log, start};
pub use metrics::{Delivery, Metrics};
