//! Log lines: which are written, in what form, and where to. All three may change while the program runs.
//!
//! Architecture Invariant: logging never waits for the reader of the log, and no logged text can start another line or
//! control a terminal.

mod line;
mod log;
mod output;
mod printer;
mod queue;

pub(super) use log::dropped;
pub use log::{Log, flush, start};
