//! Reviews that the daemon submits on behalf of their authors.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tonic::{Code, Request, Response, Status};

use crate::cluster::listener::Peer;
use crate::cluster::rules::denied;
use crate::cluster::service::AuthService;
use crate::cluster::state::ClusterState;
use crate::cluster::{Cluster, Moment, State, Verdict, access_requests};
use crate::types;

impl Cluster {
    /// Sets the users on behalf of which the daemon's role may submit reviews; `*` means all of them, as by default.
    pub fn set_submit_for_users(&self, users: &[&str]) {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        self.change(|state| state.submit_for_users = Some(users));
    }

    /// Takes away the right to review from a user.
    pub fn bar_reviewer(&self, user: &str) {
        self.change(|state| state.barred_reviewers.insert(user.to_owned()));
    }

    /// Gives it back.
    pub fn admit_reviewer(&self, user: &str) {
        self.change(|state| state.barred_reviewers.remove(user));
    }

    /// Creates a user who is a bot.
    pub fn add_bot(&self, name: &str) {
        self.change(|state| {
            state.users.insert(name.to_owned(), BTreeMap::new());
            state.bots.insert(name.to_owned());
        });
    }

    /// Answers this number of reviews with a gRPC code, without storing them.
    pub fn fail_reviews(&self, times: u32, code: i32) {
        self.faults(|faults| faults.fail_reviews = Some((times, Code::from_i32(code))));
    }

    /// Sets the version that the server reports from now on.
    pub fn set_version(&self, version: &str) {
        self.change(|state| state.version = Some(version.to_owned()));
    }

    /// Reads of requests answer with the present state until `catch_up_reads`. Events and lists are not affected.
    pub fn lag_reads(&self) {
        self.change(|state| state.read_cache = Some(state.requests.clone()));
    }

    pub fn catch_up_reads(&self) {
        self.change(|state| state.read_cache = None);
    }

    /// Returns the reviews of a request, in order.
    pub fn reviews(&self, id: &str) -> Vec<types::AccessReview> {
        let spec = self.request(id).and_then(|request| request.spec);
        spec.map(|spec| spec.reviews).unwrap_or_default()
    }

    /// Returns how often a method was called.
    pub fn calls_of(&self, method: &str) -> usize {
        self.state().calls.get(method).copied().unwrap_or_default()
    }

    /// Checks a review, and stores it.
    fn submit(
        &self,
        caller: &str,
        submission: types::AccessReviewSubmission,
    ) -> Result<types::AccessRequestV3, Status> {
        let id = submission.request_id;
        let review = submission.review.unwrap_or_default();
        let verdict = match review.proposed_state() {
            State::Approved => Verdict::Approve,
            State::Denied => Verdict::Deny,
            other => return Err(Status::invalid_argument(format!("invalid state proposed: {other:?}"))),
        };
        let (needed, now) = (self.approvals_needed(&id), self.now());
        let created = review.created.and_then(|created| created.try_into().ok());
        let stored = self.change(|state| {
            check_caller(state, caller, &review)?;
            let request = state.requests.get(&id).filter(|request| !is_over(request, now));
            let request = request.ok_or_else(|| Status::not_found(format!("access request {id:?} is not found")))?;
            check_review(state, request, &review)?;
            let request = state.requests.get_mut(&id).expect("it was just read");
            let spec = request.spec.get_or_insert_default();
            let created = created.unwrap_or(now);
            access_requests::review(spec, &review.author, verdict, &review.reason, needed, created);
            if let Some(last) = spec.reviews.last_mut() {
                caller.clone_into(&mut last.submitted_by);
            }
            Ok(request.clone())
        });
        if stored.is_ok() {
            self.repeat(&id);
        }
        stored
    }
}

/// Returns whether a request has expired, although the cluster has not deleted it yet.
fn is_over(request: &types::AccessRequestV3, now: SystemTime) -> bool {
    let end = request.spec.as_ref().and_then(|spec| spec.resource_expiry);
    end.and_then(|end| SystemTime::try_from(end).ok())
        .is_some_and(|end| end <= now)
}

/// Checks whether the caller may submit reviews for this author.
fn check_caller(state: &ClusterState, caller: &str, review: &types::SubmittedReview) -> Result<(), Status> {
    let author = &review.author;
    let not_for =
        || Status::permission_denied(format!("user {caller:?} cannot submit reviews on behalf of {author:?}"));
    if state.faults.old_server || !review.submitted_on_behalf_of_author {
        if !author.is_empty() && author != caller {
            return Err(not_for());
        }
        // The daemon's role has no right to review.
        return Err(Status::permission_denied(format!(
            "user {caller:?} cannot submit reviews"
        )));
    }
    let is_granted = |users: &Vec<String>| users.iter().any(|user| user == "*" || user == author);
    if !state.submit_for_users.as_ref().is_none_or(is_granted) {
        return Err(not_for());
    }
    if !state.users.contains_key(author) {
        return Err(Status::not_found(format!("user {author:?} is not found")));
    }
    if state.bots.contains(author) {
        return Err(Status::permission_denied(format!("user {author:?} is a bot")));
    }
    Ok(())
}

/// Checks whether the author may review the request in its state.
fn check_review(
    state: &ClusterState,
    request: &types::AccessRequestV3,
    review: &types::SubmittedReview,
) -> Result<(), Status> {
    let author = &review.author;
    let spec = request.spec.clone().unwrap_or_default();
    let id = request.metadata.as_ref().map_or("", |metadata| &metadata.name);
    if spec.user == *author || state.barred_reviewers.contains(author) {
        let text = format!("user {author:?} cannot review request {id:?}");
        return Err(Status::permission_denied(text));
    }
    if spec.thresholds.is_empty() {
        return Err(Status::invalid_argument("the access request has no thresholds"));
    }
    if spec.reviews.iter().any(|stored| stored.author == *author) {
        let text = format!("user {author:?} has already reviewed this request");
        return Err(if state.faults.reviews_already_exist {
            Status::already_exists(text)
        } else {
            Status::permission_denied(text)
        });
    }
    let resolved = match spec.state() {
        State::Approved => "approved",
        State::Denied => "denied",
        State::Promoted => "promoted",
        State::Pending | State::None => return Ok(()),
    };
    let text = format!("the access request has been already {resolved}");
    Err(Status::permission_denied(text))
}

impl AuthService {
    /// Answers `GetRole` with the role of the daemon.
    pub(super) fn own_role(&self) -> Result<types::RoleV6, Status> {
        let mut state = self.cluster().state();
        if state.faults.deny_roles {
            state.meet("deny_roles");
            return Err(denied("\"read\" on \"role\""));
        }
        let submit_for_users = state.submit_for_users.clone().unwrap_or_else(|| vec!["*".to_owned()]);
        let review_requests = Some(types::AccessReviewConditions { submit_for_users });
        let allow = Some(types::RoleConditions { review_requests });
        Ok(types::RoleV6 {
            spec: Some(types::RoleSpecV6 { allow }),
        })
    }

    /// Answers `SubmitAccessReview`.
    pub(super) async fn review(
        &self,
        request: Request<types::AccessReviewSubmission>,
    ) -> Result<Response<types::AccessRequestV3>, Status> {
        let peer = request.extensions().get::<Peer>();
        let caller = peer.map(|peer| peer.user.clone()).unwrap_or_default();
        let submission = self.begin("SubmitAccessReview", request).await?;
        let failure = self.cluster().change(|state| {
            let (left, code) = state.faults.fail_reviews.as_mut().filter(|(left, _)| *left > 0)?;
            *left -= 1;
            let code = *code;
            state.meet("fail_reviews");
            Some(Status::new(code, "pretended failure"))
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        let stored = self.cluster().submit(&caller, submission)?;
        let (gate, is_lost) = self.cluster().change(|state| {
            let is_lost = state.faults.lose_review_answers > 0;
            if is_lost {
                state.faults.lose_review_answers -= 1;
                state.meet("lose_review_answers");
            }
            (state.gate("SubmitAccessReview", Moment::After), is_lost)
        });
        if let Some(gate) = gate {
            gate.pass().await;
        }
        if is_lost {
            return Err(Status::unavailable("the answer was lost"));
        }
        Ok(Response::new(stored))
    }
}
