//! The facts that rules are evaluated against.

use jiff::Timestamp;

use crate::domain::request::AccessRequest;
use crate::domain::rules::labels::Labels;
use crate::domain::rules::predicate::{Dict, Set};

/// The first moment of the year 1, which stands for a time that is not set in Teleport.
const NOT_SET: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// An Access Request with the known facts about its requester and resources.
#[derive(Clone, Debug)]
pub struct Subject {
    pub roles: Set,
    pub suggested_reviewers: Set,
    pub system_annotations: Dict,
    pub user: String,
    pub reason: String,
    pub created: Timestamp,
    pub expiry: Timestamp,
    /// The labels of the requested resources, or the reason why they are unknown.
    pub labels: Result<Labels, String>,
    pub traits: Dict,
}

impl Subject {
    /// Combines a request with the looked-up traits and labels.
    pub fn new(request: &AccessRequest, traits: Dict, labels: Result<Labels, String>) -> Self {
        Self {
            roles: set_of(&request.roles),
            suggested_reviewers: set_of(&request.suggested_reviewers),
            system_annotations: dict_of(&request.system_annotations),
            user: request.user.clone(),
            reason: request.reason.clone(),
            created: request.created.unwrap_or(NOT_SET),
            expiry: request.expires.unwrap_or(NOT_SET),
            labels,
            traits,
        }
    }
}

/// Collects texts; duplicates collapse.
pub fn set_of<'a>(texts: impl IntoIterator<Item = &'a String>) -> Set {
    texts.into_iter().map(|text| text.clone().into_bytes()).collect()
}

/// Collects lists of texts by key.
pub fn dict_of<'a>(lists: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>) -> Dict {
    let entry = |(key, list): (&'a String, &'a Vec<String>)| (key.clone().into_bytes(), set_of(list));
    lists.into_iter().map(entry).collect()
}
