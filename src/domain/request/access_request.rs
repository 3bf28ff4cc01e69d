//! The complete state of an Access Request at one time.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::domain::request::Stage;

/// An Access Request with everything that a card can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    pub id: RequestId,
    /// The requester.
    pub user: String,
    /// The requested roles; after a partial approval, the granted ones.
    pub roles: Vec<String>,
    pub stage: Stage,
    pub reason: String,
    /// The reason of the review or state change that resolved the request.
    pub resolve_reason: String,
    /// In the order in which they were submitted.
    pub reviews: Vec<Review>,
    /// User names or other texts; only email addresses can be notified.
    pub suggested_reviewers: Vec<String>,
    pub resources: Vec<Resource>,
    /// The annotations of the requester's roles, by key.
    pub system_annotations: BTreeMap<String, Vec<String>>,
    pub created: Option<Timestamp>,
    /// The latest time at which the access ends.
    pub access_until: Option<Timestamp>,
    /// The start of the access, if it does not start immediately.
    pub access_from: Option<Timestamp>,
    /// When the request itself expires if it is not resolved.
    pub expires: Option<Timestamp>,
    /// The access list that a promoted request became a member of.
    pub promoted_to: Option<AccessList>,
}

impl AccessRequest {
    /// Creates a pending request without any content.
    pub fn new(id: RequestId, user: impl Into<String>) -> Self {
        Self {
            id,
            user: user.into(),
            roles: Vec::new(),
            stage: Stage::Pending,
            reason: String::new(),
            resolve_reason: String::new(),
            reviews: Vec::new(),
            suggested_reviewers: Vec::new(),
            resources: Vec::new(),
            system_annotations: BTreeMap::new(),
            created: None,
            access_until: None,
            access_from: None,
            expires: None,
            promoted_to: None,
        }
    }

    /// Returns whether the request has expired: reviews are no longer possible, and Teleport will delete it.
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

impl Review {
    /// Creates a review without a reason or a time.
    pub fn new(author: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            author: author.into(),
            verdict,
            reason: String::new(),
            created: None,
        }
    }
}

/// The proposal of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    Deny,
    Promote,
    /// A state that this version does not know.
    Other,
}

/// An access list, by its ID and title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList {
    pub name: String,
    pub title: String,
}

/// A requested resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub cluster: String,
    pub kind: String,
    pub name: String,
    /// For example a Kubernetes `namespace/pod`; empty for the whole resource.
    pub sub_resource: String,
}

impl Resource {
    /// Creates a whole resource.
    pub fn new(cluster: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            kind: kind.into(),
            name: name.into(),
            sub_resource: String::new(),
        }
    }
}

/// The ID of an Access Request; a UUID in every known version of Teleport.
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
    /// Writes `/cluster/kind/name`, as `tsh` does, followed by the sub-resource.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}/{}", self.cluster, self.kind, self.name)?;
        if self.sub_resource.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.sub_resource)
        }
    }
}
