//! What the program tells of itself.
//!
//! Architecture Invariant: observes and never decides.

mod logs;

pub use logs::start;
