//! Reads one Access Request, and submits a review for its author.

use prost_types::Timestamp as WireTime;

use crate::clock;
use crate::domain::request::{AccessRequest, RequestId};
use crate::domain::review::{Rejection, Submission, Verb};
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning, convert, shortened};

/// Interprets Teleport's rejection of a review by an author; `None` if the failure is temporary.
///
/// Only texts distinguish most of them: Teleport rejects a review of a resolved request, a second review, and a reviewer
/// without the role with the same code. Teleport's own Slack plugin matches the text of a resolved request, too.
pub fn rejection(error: &Error, author: &str) -> Option<Rejection> {
    let says = |part: &str| error.detail().contains(part);
    match error.meaning() {
        Meaning::Denied if says("already reviewed") => Some(Rejection::Reviewed),
        Meaning::Denied if says("has been already") => Some(Rejection::Resolved),
        Meaning::Denied if says("on behalf") || says("submit_for_users") => Some(Rejection::NotForUser),
        Meaning::Denied => Some(Rejection::NotAllowed),
        // `AlreadyExists` in newer servers; a write that lost against another one is a conflict too.
        Meaning::Conflict if says("already") => Some(Rejection::Reviewed),
        Meaning::NotFound if says(&format!("{:?}", shortened(author))) => Some(Rejection::NoUser),
        Meaning::NotFound => Some(Rejection::Gone),
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
        let hint = |error: Error| match error.meaning() {
            Meaning::Denied => error.or_hint(hint!("Grant the role list and read on access_request")),
            _ => error,
        };
        let mut stream = self.stream(doing, method, filter).await.map_err(hint)?;
        let Some(bytes) = self.within(doing, stream.message()).await.map_err(hint)? else {
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

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn rejections_are_recognized_by_what_teleport_says() {
        let denied = Status::permission_denied;
        for (status, expected) in [
            (
                denied("user \"bob@x.y\" has already reviewed this request"),
                Some(Rejection::Reviewed),
            ),
            (
                Status::already_exists("user \"bob@x.y\" has already reviewed this request"),
                Some(Rejection::Reviewed),
            ),
            (
                denied("the access request has been already approved"),
                Some(Rejection::Resolved),
            ),
            (
                denied("user \"plugin\" cannot submit reviews on behalf of \"bob@x.y\""),
                Some(Rejection::NotForUser),
            ),
            // The author's own roles.
            (
                denied("user \"bob@x.y\" cannot submit reviews"),
                Some(Rejection::NotAllowed),
            ),
            (
                denied("user \"bob@x.y\" cannot review request \"1\""),
                Some(Rejection::NotAllowed),
            ),
            (
                Status::not_found("user \"bob@x.y\" is not found"),
                Some(Rejection::NoUser),
            ),
            (Status::not_found("user \"carol\" is not found"), Some(Rejection::Gone)),
            (
                Status::not_found("access request \"1\" is not found"),
                Some(Rejection::Gone),
            ),
            (Status::failed_precondition("too many concurrent writes"), None),
            (Status::unavailable("starting"), None),
        ] {
            let error = Error::of_status("submit a review", &status);
            assert_eq!(rejection(&error, "bob@x.y"), expected, "{status}");
        }
    }
}
