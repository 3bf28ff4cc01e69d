//! The whole state of an access request at one moment.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::domain::request::Stage;

/// An access request with everything a card may show of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    pub id: RequestId,
    /// Who asks.
    pub user: String,
    /// The requested roles; after a partial approval, the granted ones.
    pub roles: Vec<String>,
    pub stage: Stage,
    pub reason: String,
    /// The reason of the deciding review or state change.
    pub resolve_reason: String,
    /// In the order in which they were submitted.
    pub reviews: Vec<Review>,
    /// User names or anything else; only mail addresses among them can be told.
    pub suggested_reviewers: Vec<String>,
    pub resources: Vec<Resource>,
    /// What Teleport's administrators attached to the requester's roles, by key.
    pub system_annotations: BTreeMap<String, Vec<String>>,
    pub created: Option<Timestamp>,
    /// The latest moment until which the access may last.
    pub access_until: Option<Timestamp>,
    /// When the access may be used from, if not at once.
    pub access_from: Option<Timestamp>,
    /// When the request itself ends if nobody decides it.
    pub expires: Option<Timestamp>,
    /// The access list that a promoted request became a member of.
    pub promoted_to: Option<AccessList>,
}

impl AccessRequest {
    /// Tells whether the request only waits to be deleted: its end has passed, and reviews are not possible any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// One person's review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub author: String,
    pub verdict: Verdict,
    pub reason: String,
    pub created: Option<Timestamp>,
}

/// What a review proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    Deny,
    Promote,
    /// A state that this version does not know.
    Other,
}

/// An access list, by its id and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList {
    pub name: String,
    pub title: String,
}

/// A resource that the request asks access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub cluster: String,
    pub kind: String,
    pub name: String,
    /// For example a Kubernetes `namespace/pod`; empty when the whole resource is meant.
    pub sub_resource: String,
}

/// The name of an access request; a UUID in every known version of Teleport.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(String);

impl RequestId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Resource {
    /// Writes `/cluster/kind/name`, as `tsh` does, with the sub-resource behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}/{}", self.cluster, self.kind, self.name)?;
        if self.sub_resource.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.sub_resource)
        }
    }
}
