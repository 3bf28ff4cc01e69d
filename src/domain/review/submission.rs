//! A review that is ready to be submitted.

use crate::domain::request::RequestId;
use crate::domain::review::Verb;

/// A review of a request by a Teleport user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    request: RequestId,
    author: String,
    verb: Verb,
    reason: Option<String>,
}

impl Submission {
    /// Creates a review. `author` is the Teleport user who reviews.
    pub fn new(request: RequestId, author: impl Into<String>, verb: Verb, reason: Option<String>) -> Self {
        Self {
            request,
            author: author.into(),
            verb,
            reason,
        }
    }

    pub fn request(&self) -> &RequestId {
        &self.request
    }

    /// Returns the Teleport user who reviews.
    pub fn author(&self) -> &str {
        &self.author
    }

    pub fn verb(&self) -> Verb {
        self.verb
    }

    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}
