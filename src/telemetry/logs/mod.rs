//! Log lines: which are written, in what form, and where to. All three may change while the program runs.
//!
//! Architecture Invariant: whoever logs never waits for what reads the log, and nothing that is logged can start another
//! line or reach a terminal as a command.

mod line;
mod log;
mod output;
mod printer;
mod queue;

pub(super) use log::dropped;
pub use log::{Log, flush, start};
