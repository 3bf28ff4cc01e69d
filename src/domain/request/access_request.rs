//! The complete state of an Access Request at one time.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::domain::request::{Stage, Threshold};

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
    /// Email addresses, user names or other texts.
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
    pub kind: RequestKind,
    /// The name of the access list that Teleport recommends for a long-term request; empty if it recommends none.
    pub recommended_list: String,
    pub thresholds: Vec<Threshold>,
    /// Groups of thresholds, by index, without duplicates: every group must reach one of its thresholds.
    pub threshold_sets: Vec<Vec<usize>>,
}

/// How long the access lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// Servers that are older than the field send no kind.
    #[default]
    ShortTerm,
    /// A membership of an access list, which does not end by itself.
    LongTerm,
    /// A kind that this version does not know.
    Other,
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
            kind: RequestKind::ShortTerm,
            recommended_list: String::new(),
            thresholds: Vec::new(),
            threshold_sets: Vec::new(),
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
    /// The thresholds that the review counts for, by index.
    pub thresholds: Vec<usize>,
    /// The user that submitted the review for its author, such as a plugin's; empty if the author did.
    pub submitted_by: String,
}

impl Review {
    /// Creates a review without a reason or a time.
    pub fn new(author: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            author: author.into(),
            verdict,
            reason: String::new(),
            created: None,
            thresholds: Vec::new(),
            submitted_by: String::new(),
        }
    }
}

/// The proposal of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    pub cluster: String,
    pub kind: String,
    pub name: String,
    /// For example a Kubernetes `namespace/pod`; empty for the whole resource.
    pub sub_resource: String,
    pub constraints: Option<Constraints>,
}

/// What the requester may do on a resource; without constraints, everything that the roles allow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Constraints {
    /// SSH or Windows logins.
    Logins(Vec<String>),
    /// ARNs of AWS roles.
    AwsRoles(Vec<String>),
    /// Constraints that this version does not know.
    Other,
}

impl Resource {
    /// Creates a whole resource.
    pub fn new(cluster: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            kind: kind.into(),
            name: name.into(),
            sub_resource: String::new(),
            constraints: None,
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
