//! Reads one Access Request, and submits a review for its author.

use prost_types::Timestamp as WireTime;

use crate::clock;
use crate::domain::request::{AccessRequest, RequestId};
use crate::domain::review::{Submission, Verb};
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert};

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
    /// does not exist.
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
