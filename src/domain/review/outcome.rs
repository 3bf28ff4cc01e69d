//! The outcome of a press, and the sentence that the person who pressed the button sees.

use std::fmt;

use crate::domain::request::Stage;
use crate::domain::review::Verb;

/// The outcome of a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Teleport accepted the review.
    Submitted,
    /// The same person submitted the same review before, for example with the first delivery of this press.
    Repeated,
    Refused(Refusal),
}

/// Why a press is no review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The configuration turns reviews off.
    TurnedOff,
    /// The configuration demands a reason.
    NoReason(Verb),
    /// No Teleport user belongs to the person.
    UnknownPerson,
    /// Several Teleport users belong to the person.
    SeveralUsers,
    /// The Teleport user of the person does not exist any more.
    UserGone,
    /// The request does not exist, or the role cannot see it.
    Gone,
    Expired,
    /// A long-term request is reviewed with an Access List.
    LongTerm,
    /// A kind or a state that this version does not know.
    Unknown,
    Resolved(Stage),
    OwnRequest,
    /// The person has reviewed the request, with this verdict if it is known.
    Reviewed(Option<Verb>),
    /// Teleport does not allow the person to review the request.
    NotAReviewer,
    /// The plugin's role does not allow reviews for the person.
    NotForUser,
    /// The cluster does not know reviews on behalf of a person.
    OldServer,
    /// Teleport does not allow the plugin to find the person, or to read the request.
    NoPermission,
    /// Teleport did not answer, or did not confirm the review, or Microsoft did not say who the person is.
    NoAnswer,
    /// There are too many presses.
    Busy,
    /// The same person's earlier press of another button is still being processed.
    EarlierPress,
}

impl Outcome {
    /// Every outcome, as metrics and logs name it, in groups that an operator acts on.
    pub const WORDS: [&str; 9] = [
        "submitted",
        "repeated",
        "not_a_reviewer",
        "unknown_person",
        "already_decided",
        "not_reviewable",
        "role",
        "no_answer",
        "refused",
    ];

    /// Returns the word for metrics and logs.
    pub fn as_str(self) -> &'static str {
        let Self::Refused(refusal) = self else {
            return if self == Self::Submitted {
                "submitted"
            } else {
                "repeated"
            };
        };
        match refusal {
            Refusal::NotAReviewer | Refusal::OwnRequest => "not_a_reviewer",
            Refusal::UnknownPerson | Refusal::SeveralUsers | Refusal::UserGone => "unknown_person",
            Refusal::Resolved(_) | Refusal::Reviewed(_) => "already_decided",
            Refusal::Gone | Refusal::Expired | Refusal::LongTerm | Refusal::Unknown => "not_reviewable",
            Refusal::NotForUser | Refusal::OldServer | Refusal::NoPermission => "role",
            Refusal::NoAnswer | Refusal::Busy | Refusal::EarlierPress => "no_answer",
            Refusal::TurnedOff | Refusal::NoReason(_) => "refused",
        }
    }

    /// Returns whether the person's review is in Teleport, with the verdict of the press.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Submitted | Self::Repeated)
    }
}

/// What the sentences name.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    /// The object ID of the person who pressed the button.
    pub person: &'a str,
    /// The trait that links Teleport users to people.
    pub user_id_trait: &'a str,
    /// The address of the request in the Web UI.
    pub link: Option<&'a str>,
}

impl Refusal {
    /// Returns the sentences for the person: what happened, and what to do.
    pub fn sentence(self, naming: Naming<'_>) -> String {
        let Naming {
            person, user_id_trait, ..
        } = naming;
        let place = match naming.link {
            Some(link) => format!("in Teleport: {link}"),
            None => "in Teleport.".to_owned(),
        };
        match self {
            Self::TurnedOff => format!("Reviews in Teams are turned off. Review the request {place}"),
            Self::NoReason(verb) => format!("Enter a reason to {} this request.", verb.as_str()),
            Self::UnknownPerson => format!(
                "Your Teams account is not linked to a Teleport user. Ask your Teleport administrator to add {person} to \
                 the trait {user_id_trait} of your user."
            ),
            Self::SeveralUsers => format!(
                "Your Teams account is linked to several Teleport users. Ask your Teleport administrator to keep {person} \
                 in the trait {user_id_trait} of one user only."
            ),
            Self::UserGone => {
                "Your Teleport user does not exist any more. Log in to Teleport, and press the button again.".to_owned()
            }
            Self::Gone => "This request has expired or was deleted. The requester can create a new one.".to_owned(),
            Self::Expired => "This request has expired. The requester can create a new one.".to_owned(),
            Self::LongTerm => format!("Long-term access is granted with an Access List. Review the request {place}"),
            Self::Unknown => format!("This request cannot be reviewed here. Review the request {place}"),
            Self::Resolved(stage) => match stage {
                Stage::Approved => "This request is already approved. Nothing is left to do.",
                Stage::Denied => "This request is already denied. Nothing is left to do.",
                Stage::Promoted => {
                    "This request is already promoted to a membership of an Access List. Nothing is left to do."
                }
                Stage::Expired => "This request has expired. The requester can create a new one.",
                Stage::Pending | Stage::Unknown => "This request is already resolved. Nothing is left to do.",
            }
            .to_owned(),
            Self::OwnRequest => "You cannot review your own request. Another reviewer has to decide.".to_owned(),
            Self::Reviewed(verdict) => {
                let review = match verdict {
                    Some(Verb::Approve) => "approved",
                    Some(Verb::Deny) => "denied",
                    None => "reviewed",
                };
                format!("You have already {review} this request. A review cannot be changed.")
            }
            Self::NotAReviewer => {
                "Teleport does not allow your user to review this request. Ask another reviewer, or your Teleport \
                 administrator for a role that can review it."
                    .to_owned()
            }
            Self::NotForUser => format!(
                "The plugin's role does not allow reviews for your user (`submit_for_users`). Ask your Teleport \
                 administrator to change it, or review the request {place}"
            ),
            Self::OldServer => format!(
                "Your Teleport cluster accepts reviews from Teams from version 18.11 on. Review the request {place}"
            ),
            Self::NoPermission => format!(
                "The plugin's role lacks a permission that reviews need. Ask your Teleport administrator to run \
                 `validate --all`, or review the request {place}"
            ),
            Self::NoAnswer => {
                "Your review was not confirmed. Press the button again in a minute: it counts once.".to_owned()
            }
            Self::EarlierPress => {
                "Your earlier press is still being processed. Wait for its result before you press another button."
                    .to_owned()
            }
            Self::Busy => "Too many reviews are being submitted. Press the button again in a minute.".to_owned(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
