//! The road to the Auth Service: from settings to one encrypted byte stream.
//!
//! Architecture Invariant: the only place that decides how to dial. Other roads wrap the byte stream under the same
//! TLS session and change nothing else; nothing above knows which road was taken.

mod connector;
mod stream;
mod tls;

pub(super) use connector::{ConnectError, connector};
pub(super) use stream::LastAlert;
