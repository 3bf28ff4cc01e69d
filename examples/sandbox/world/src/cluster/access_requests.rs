//! Access requests, as people make and review them.

use std::time::Duration;
use std::time::SystemTime;

use prost_types::Timestamp;

use crate::types;

/// Go's zero time, which Teleport sends for times that are not set.
const YEAR_ONE: Timestamp = Timestamp {
    seconds: -62_135_596_800,
    nanos: 0,
};

/// A request that somebody is about to make.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Chosen by the cluster if there is none.
    pub id: Option<String>,
    pub user: String,
    pub roles: Vec<String>,
    pub reason: String,
    pub suggested_reviewers: Vec<String>,
    /// Kind and name.
    pub resources: Vec<(String, String)>,
    /// Approving reviews that it takes.
    pub approvals: u32,
    pub state: State,
    /// How long the access may last.
    pub access_for: Duration,
    /// How long the request waits for reviews.
    pub expires_in: Duration,
}

/// Where a request stands, with the numbers of the wire.
pub use crate::types::RequestState as State;

/// What a review proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    Deny,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            id: None,
            user: "bob@example.com".to_owned(),
            roles: vec!["dba".to_owned()],
            reason: "Need to fix the index".to_owned(),
            suggested_reviewers: Vec::new(),
            resources: Vec::new(),
            approvals: 1,
            state: State::Pending,
            access_for: Duration::from_hours(8),
            expires_in: Duration::from_hours(24 * 7),
        }
    }
}

impl Draft {
    /// Returns the stored request; the number of approvals it takes is kept as its label.
    pub(super) fn into_request(self, id: String, cluster: &str, now: SystemTime) -> types::AccessRequestV3 {
        let resource = |(kind, name): (String, String)| types::ResourceId {
            cluster_name: cluster.to_owned(),
            kind,
            name,
            sub_resource_name: String::new(),
        };
        let access_until = Some((now + self.access_for).into());
        let spec = types::AccessRequestSpecV3 {
            user: self.user,
            roles: self.roles,
            state: self.state.into(),
            created: Some(now.into()),
            expires: access_until,
            max_duration: access_until,
            request_reason: self.reason,
            suggested_reviewers: self.suggested_reviewers,
            requested_resource_ids: self.resources.into_iter().map(resource).collect(),
            resource_expiry: Some((now + self.expires_in).into()),
            ..types::AccessRequestSpecV3::default()
        };
        types::AccessRequestV3 {
            kind: "access_request".to_owned(),
            version: "v3".to_owned(),
            metadata: Some(types::Metadata {
                name: id,
                namespace: "default".to_owned(),
                expires: None,
                ..types::Metadata::default()
            }),
            spec: Some(spec),
            ..types::AccessRequestV3::default()
        }
    }
}

/// Adds a review, and resolves the request if it decides.
pub(super) fn review(
    spec: &mut types::AccessRequestSpecV3,
    author: &str,
    verdict: Verdict,
    reason: &str,
    approvals_needed: usize,
    now: SystemTime,
) {
    let proposed = match verdict {
        Verdict::Approve => State::Approved,
        Verdict::Deny => State::Denied,
    };
    add_review(spec, author, proposed, reason, Some(now.into()));
    let approvals = spec
        .reviews
        .iter()
        .filter(|review| review.proposed_state() == State::Approved);
    let decided = match verdict {
        Verdict::Approve => approvals.count() >= approvals_needed,
        Verdict::Deny => true,
    };
    if decided {
        resolve(spec, proposed, reason);
    }
}

/// Turns the request into a membership of an access list.
pub(super) fn promote(spec: &mut types::AccessRequestSpecV3, author: &str, title: &str) {
    add_review(spec, author, State::Promoted, "", Some(YEAR_ONE));
    spec.access_list = Some(types::PromotedAccessList {
        name: "0d7f5b7f-8a11-4a70-9d0b-018f52a16c1e".to_owned(),
        title: title.to_owned(),
    });
    resolve(spec, State::Promoted, "");
}

/// Decides a request; from then on it ends when its access does.
pub(super) fn resolve(spec: &mut types::AccessRequestSpecV3, state: State, reason: &str) {
    spec.set_state(state);
    reason.clone_into(&mut spec.resolve_reason);
    if state != State::Pending {
        spec.resource_expiry = spec.expires;
    }
}

fn add_review(
    spec: &mut types::AccessRequestSpecV3,
    author: &str,
    proposed: State,
    reason: &str,
    created: Option<Timestamp>,
) {
    spec.reviews.push(types::AccessReview {
        author: author.to_owned(),
        proposed_state: proposed.into(),
        reason: reason.to_owned(),
        created,
    });
}
