//! The Adaptive Card of a request.
//!
//! Architecture Invariant: text that people wrote reaches a card only through `text`.
