//! Reads one Access Request, and submits a review for its author.

use prost_types::Timestamp as WireTime;

use crate::clock;
use crate::domain::request::{AccessRequest, RequestId};
use crate::domain::review::{Rejection, Submission, Verb};
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert};

/// Interprets Teleport's rejection of a review; `None` if the failure is temporary.
///
/// Only texts distinguish most of them: Teleport rejects a review of a resolved request, a second review, and a reviewer
/// without the role with the same code. Teleport's own Slack plugin matches the text of a resolved request, too.
pub fn rejection(error: &Error) -> Option<Rejection> {
    let says = |part| error.detail().contains(part);
    match error.meaning() {
        Meaning::Denied if says("already reviewed") => Some(Rejection::Reviewed),
        Meaning::Denied if says("has been already") => Some(Rejection::Resolved),
        Meaning::Denied if says("on behalf") || says("submit_for_users") || says("cannot submit reviews") => {
            Some(Rejection::NotForUser)
        }
        Meaning::Denied => Some(Rejection::NotAllowed),
        // `AlreadyExists` in newer servers; a write that lost against another one is a conflict too.
        Meaning::Conflict if says("already") => Some(Rejection::Reviewed),
        Meaning::NotFound if says("user ") => Some(Rejection::NoUser),
        Meaning::NotFound => Some(Rejection::Gone),
        // Before version 6, servers did not know reviews.
        Meaning::Unsupported => Some(Rejection::NotForUser),
        _ => None,
    }
}

impl Client {
    /// Reads a request in its current state; `None` if it does not exist, or if the role cannot see it: Teleport does not
    /// distinguish the two.
    ///
    /// # Errors
    /// Teleport did not answer or refused, or the request cannot be decoded.
    pub async fn request(&self, id: &RequestId) -> Result<Option<AccessRequest>, Error> {
        let doing = "read an Access Request";
        let filter = types::AccessRequestFilter {
            id: id.as_str().to_owned(),
            ..types::AccessRequestFilter::default()
        };
        let method = "/proto.AuthService/GetAccessRequestsV2";
        let mut stream = self.stream(doing, method, filter).await?;
        let Some(bytes) = self.within(doing, stream.message()).await? else {
            return Ok(None);
        };
        match self.damaged().take_request(&bytes, convert::access_request(&bytes)) {
            Some(request) if request.id == *id => Ok(Some(request)),
            Some(_) => Err(Error::new(Meaning::Protocol, doing, "the answer is another request")),
            None => Err(Error::new(
                Meaning::Undecodable,
                doing,
                "the request could not be decoded",
            )),
        }
    }

    /// Submits a review on behalf of its author, and returns the request with it; `None` if the answer cannot be decoded.
    ///
    /// Teleport 18.11 introduced such reviews, and the role option `submit_for_users` that they need.
    ///
    /// # Errors
    /// `Denied` if the author may not review the request, has reviewed it, or the role may not submit reviews for the
    /// author, and if the request is resolved; `Conflict` also if the author has reviewed it; `NotFound` if the request
    /// or the author does not exist. [`rejection`] distinguishes them.
    pub async fn submit_review(&self, submission: &Submission) -> Result<Option<AccessRequest>, Error> {
        let state = match submission.verb() {
            Verb::Approve => types::RequestState::Approved,
            Verb::Deny => types::RequestState::Denied,
        };
        let now = clock::now();
        let query = types::AccessReviewSubmission {
            request_id: submission.request().as_str().to_owned(),
            review: Some(types::SubmittedReview {
                author: submission.author().to_owned(),
                proposed_state: state.into(),
                reason: submission.reason().unwrap_or_default().to_owned(),
                created: Some(WireTime {
                    seconds: now.as_second(),
                    nanos: now.subsec_nanosecond(),
                }),
                submitted_on_behalf_of_author: true,
            }),
        };
        let method = "/proto.AuthService/SubmitAccessReview";
        let bytes = self.ask_raw("submit a review", method, query).await?;
        Ok(self.damaged().take_request(&bytes, convert::access_request(&bytes)))
    }
}
