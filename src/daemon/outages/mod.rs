//! What fails for a time: when it is logged, and who waits for its end.

mod log;
mod outage;
mod services;

pub(super) use log::Troubles;
pub(super) use outage::{Report, Trouble};
pub(super) use services::Services;
