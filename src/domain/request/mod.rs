//! The Access Request.
//!
//! Architecture Invariant: does not depend on recipients, cards or protocols.

mod access_request;
mod resource_names;
mod stage;
mod threshold;

pub use access_request::{AccessList, AccessRequest, Constraints, RequestId, RequestKind, Resource, Review, Verdict};
pub use resource_names::{ResourceName, ResourceNames};
pub use stage::Stage;
pub use threshold::{Progress, Threshold};
