//! An access request as this program sees it.
//!
//! Architecture Invariant: knows nothing of recipients, cards or wires.

mod access_request;
mod stage;

pub use access_request::{AccessList, AccessRequest, RequestId, Resource, Review, Verdict};
pub use stage::Stage;
