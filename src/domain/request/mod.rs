//! The Access Request.
//!
//! Architecture Invariant: does not depend on recipients, cards or protocols.

mod access_request;
mod stage;

pub use access_request::{AccessList, AccessRequest, RequestId, Resource, Review, Verdict};
pub use stage::Stage;
