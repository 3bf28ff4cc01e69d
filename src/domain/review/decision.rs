//! Whether a press becomes a review.
//!
//! Teleport decides who may review. These checks only give the clear answers that its errors do not, and recognize a
//! review that was submitted before.

use jiff::Timestamp;

use crate::domain::request::{AccessRequest, RequestKind, Review, Stage, Verdict};
use crate::domain::review::outcome::{Outcome, Refusal};
use crate::domain::review::{ReasonRule, Verb};

/// A press by a person whose Teleport user is known.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// The Teleport user.
    pub user: &'a str,
    pub verb: Verb,
    pub has_reason: bool,
}

/// What Teleport's rejection of a review says, apart from the state of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The author has reviewed the request.
    Reviewed,
    /// The request is resolved.
    Resolved,
    /// The request does not exist.
    Gone,
    /// The author does not exist. Users of single sign-on are deleted when their session has ended.
    NoUser,
    /// The caller may not submit reviews for the author.
    NotForUser,
    /// Any other reason why the author may not review the request.
    NotAllowed,
}

/// Decides about a press from the request as Teleport has it now. `None` means that the review is to be submitted.
pub fn decide(
    request: Option<&AccessRequest>,
    intent: Intent<'_>,
    rule: ReasonRule,
    now: Timestamp,
) -> Option<Outcome> {
    let Some(request) = request else {
        return Some(Outcome::Refused(Refusal::Gone));
    };
    // First, because the person's own review may have resolved the request.
    let own = request.reviews.iter().find(|review| review.author == intent.user);
    if let Some(review) = own {
        return Some(match verb_of(review) {
            Some(verb) if verb == intent.verb => Outcome::Repeated,
            verb => Outcome::Refused(Refusal::Reviewed(verb)),
        });
    }
    let refusal = match (request.stage, request.kind) {
        (Stage::Expired, _) => Some(Refusal::Expired),
        (Stage::Approved | Stage::Denied | Stage::Promoted, _) => Some(Refusal::Resolved(request.stage)),
        (Stage::Pending, _) if request.is_over(now) => Some(Refusal::Expired),
        (Stage::Pending, RequestKind::LongTerm) => Some(Refusal::LongTerm),
        (Stage::Unknown, _) | (Stage::Pending, RequestKind::Other) => Some(Refusal::Unknown),
        (Stage::Pending, RequestKind::ShortTerm) if request.user == intent.user => Some(Refusal::OwnRequest),
        (Stage::Pending, RequestKind::ShortTerm) if rule.requires(intent.verb) && !intent.has_reason => {
            Some(Refusal::NoReason(intent.verb))
        }
        (Stage::Pending, RequestKind::ShortTerm) => None,
    };
    refusal.map(Outcome::Refused)
}

/// Interprets a rejection for which the request shows no reason.
pub fn explain(rejection: Rejection) -> Refusal {
    match rejection {
        Rejection::Reviewed => Refusal::Reviewed(None),
        // The cache of the server lags behind.
        Rejection::Resolved => Refusal::Resolved(Stage::Unknown),
        Rejection::Gone => Refusal::Gone,
        Rejection::NoUser => Refusal::UserGone,
        Rejection::NotForUser => Refusal::NotForUser,
        Rejection::NotAllowed => Refusal::NotAReviewer,
    }
}

fn verb_of(review: &Review) -> Option<Verb> {
    match review.verdict {
        Verdict::Approve => Some(Verb::Approve),
        Verdict::Deny => Some(Verb::Deny),
        Verdict::Promote | Verdict::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::RequestId;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn request(stage: Stage) -> AccessRequest {
        AccessRequest {
            stage,
            ..AccessRequest::new(RequestId::new("1"), "bob")
        }
    }

    fn decided(request: &AccessRequest, user: &str, verb: Verb, rule: ReasonRule) -> Option<Outcome> {
        let intent = Intent {
            user,
            verb,
            has_reason: false,
        };
        decide(Some(request), intent, rule, NOW)
    }

    #[test]
    fn only_a_pending_short_term_request_of_another_person_is_reviewed() {
        let refused =
            |request: &AccessRequest, user: &str| match decided(request, user, Verb::Approve, ReasonRule::Deny) {
                Some(Outcome::Refused(refusal)) => Some(refusal),
                other => {
                    assert_eq!(other, None);
                    None
                }
            };
        assert_eq!(refused(&request(Stage::Pending), "alice"), None);
        assert_eq!(refused(&request(Stage::Pending), "bob"), Some(Refusal::OwnRequest));
        for stage in [Stage::Approved, Stage::Denied, Stage::Promoted] {
            assert_eq!(refused(&request(stage), "alice"), Some(Refusal::Resolved(stage)));
        }
        assert_eq!(refused(&request(Stage::Expired), "alice"), Some(Refusal::Expired));
        assert_eq!(refused(&request(Stage::Unknown), "alice"), Some(Refusal::Unknown));
        for (kind, refusal) in [
            (RequestKind::LongTerm, Refusal::LongTerm),
            (RequestKind::Other, Refusal::Unknown),
        ] {
            let mut request = request(Stage::Pending);
            request.kind = kind;
            assert_eq!(refused(&request, "alice"), Some(refusal));
        }
        let mut over = request(Stage::Pending);
        over.expires = Some(NOW);
        assert_eq!(refused(&over, "alice"), Some(Refusal::Expired));
        let intent = Intent {
            user: "alice",
            verb: Verb::Deny,
            has_reason: true,
        };
        let gone = decide(None, intent, ReasonRule::Optional, NOW);
        assert_eq!(gone, Some(Outcome::Refused(Refusal::Gone)));
    }

    #[test]
    fn the_first_review_of_a_person_counts() {
        let mut approved = request(Stage::Approved);
        approved.reviews = vec![
            Review::new("carol", Verdict::Deny),
            Review::new("alice", Verdict::Approve),
        ];
        let outcome = |request: &AccessRequest, verb| decided(request, "alice", verb, ReasonRule::Always);
        assert_eq!(outcome(&approved, Verb::Approve), Some(Outcome::Repeated));
        let reviewed = Refusal::Reviewed(Some(Verb::Approve));
        assert_eq!(outcome(&approved, Verb::Deny), Some(Outcome::Refused(reviewed)));
        // Teleport stores one review of an author only.
        approved.reviews.push(Review::new("alice", Verdict::Deny));
        assert_eq!(outcome(&approved, Verb::Approve), Some(Outcome::Repeated));
        approved.reviews[1].verdict = Verdict::Promote;
        let reviewed = Refusal::Reviewed(None);
        assert_eq!(
            decided(&approved, "alice", Verb::Deny, ReasonRule::Optional),
            Some(Outcome::Refused(reviewed))
        );
    }

    #[test]
    fn a_reason_is_required_as_configured() {
        let pending = request(Stage::Pending);
        for (rule, verb, required) in [
            (ReasonRule::Optional, Verb::Deny, false),
            (ReasonRule::Deny, Verb::Approve, false),
            (ReasonRule::Deny, Verb::Deny, true),
            (ReasonRule::Always, Verb::Approve, true),
            (ReasonRule::Always, Verb::Deny, true),
        ] {
            let expected = required.then_some(Outcome::Refused(Refusal::NoReason(verb)));
            assert_eq!(decided(&pending, "alice", verb, rule), expected, "{rule:?} {verb:?}");
            let intent = Intent {
                user: "alice",
                verb,
                has_reason: true,
            };
            assert_eq!(decide(Some(&pending), intent, rule, NOW), None);
        }
    }

    #[test]
    fn every_word_is_listed() {
        let (approve, stage) = (Verb::Approve, Stage::Denied);
        let refusals = [
            Refusal::TurnedOff,
            Refusal::NoReason(approve),
            Refusal::UnknownPerson,
            Refusal::SeveralUsers,
            Refusal::UserGone,
            Refusal::Gone,
            Refusal::Expired,
            Refusal::LongTerm,
            Refusal::Unknown,
            Refusal::Resolved(stage),
            Refusal::OwnRequest,
            Refusal::Reviewed(None),
            Refusal::NotAReviewer,
            Refusal::NotForUser,
            Refusal::OldServer,
            Refusal::NoPermission,
            Refusal::NoAnswer,
            Refusal::Busy,
            Refusal::EarlierPress,
        ];
        let outcomes = refusals.map(Outcome::Refused);
        let outcomes = [Outcome::Submitted, Outcome::Repeated].into_iter().chain(outcomes);
        let words: std::collections::BTreeSet<_> = outcomes.map(Outcome::as_str).collect();
        assert_eq!(words, Outcome::WORDS.into());
    }
}
