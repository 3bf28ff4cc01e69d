//! The labels of the metrics. Each enum is a label, and each variant one of its values.

use std::fmt;

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

use crate::domain::lifecycle::{Audience, Change};
use crate::domain::request::Stage;
use crate::domain::review::{Outcome as ReviewOutcome, Verb};
use crate::domain::rules::FailureKind;

/// The outcome of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    Posted,
    Updated,
    /// Rejected, for example because the user does not exist or has blocked the app.
    Refused,
    /// To be retried.
    Deferred,
}

/// The kind of a reminder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reminder {
    /// An owner is to review Access Lists.
    AccessList,
    /// A recipient has not reviewed a request.
    Review,
    /// The access of a requester ends soon.
    AccessEnds,
}

/// What became of a reminder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reminded {
    Sent,
    Failed,
}

/// An API that the program calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    Login,
    Graph,
    Bot,
    Teleport,
}

/// What became of a request to the bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inbound {
    /// A button was pressed.
    Press,
    /// Another activity of Teams.
    Other,
    /// The path, the method, the type or the size is wrong.
    Malformed,
    /// The token is missing, or not one of Teams.
    Unverified,
    /// The keys that verify tokens are not known.
    Unavailable,
    /// The token is valid, but the body is not for this bot and tenant.
    Foreign,
}

/// The outcome of a press, as its metric names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reviewed(pub(super) &'static str);

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Done,
    Failed,
    Refused,
}

/// Whether an Access Monitoring Rule can be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RuleState {
    InForce,
    Broken,
}

impl Inbound {
    pub(super) const ALL: [Self; 6] = [
        Self::Press,
        Self::Other,
        Self::Malformed,
        Self::Unverified,
        Self::Unavailable,
        Self::Foreign,
    ];
}

impl Reviewed {
    /// Every outcome.
    pub(super) fn all() -> impl Iterator<Item = Self> + Clone {
        ReviewOutcome::WORDS.into_iter().map(Self)
    }
}

impl Reminder {
    pub(super) const ALL: [Self; 3] = [Self::AccessList, Self::Review, Self::AccessEnds];
}

impl Reminded {
    pub(super) const ALL: [Self; 2] = [Self::Sent, Self::Failed];
}

impl Delivery {
    pub(super) const ALL: [Self; 4] = [Self::Posted, Self::Updated, Self::Refused, Self::Deferred];
}

/// Encodes an enum as a label of this name, with the name of the variant as its value.
macro_rules! label {
    ($name:literal, $label:ty, $word:expr) => {
        impl EncodeLabelSet for $label {
            fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
                let word: fn(&Self) -> &'static str = $word;
                ($name, word(self)).encode(encoder.encode_label())
            }
        }
    };
}

label!("outcome", Delivery, |outcome| match outcome {
    Delivery::Posted => "posted",
    Delivery::Updated => "updated",
    Delivery::Refused => "refused",
    Delivery::Deferred => "deferred",
});

label!("audience", Audience, |audience| audience.as_str());

label!("change", Change, |change| match change {
    Change::Announcement => "announcement",
    Change::Review => "review",
    Change::Resolution => "resolution",
});

label!("kind", Reminder, |kind| match kind {
    Reminder::AccessList => "access_list",
    Reminder::Review => "review",
    Reminder::AccessEnds => "access_ends",
});

label!("outcome", Reminded, |outcome| match outcome {
    Reminded::Sent => "sent",
    Reminded::Failed => "failed",
});

label!("api", Peer, |api| match api {
    Peer::Login => "login",
    Peer::Graph => "graph",
    Peer::Bot => "bot",
    Peer::Teleport => "teleport",
});

label!("outcome", Inbound, |outcome| match outcome {
    Inbound::Press => "press",
    Inbound::Other => "other",
    Inbound::Malformed => "malformed",
    Inbound::Unverified => "unverified",
    Inbound::Unavailable => "unavailable",
    Inbound::Foreign => "foreign",
});

label!("verb", Verb, |verb| verb.as_str());

label!("outcome", Reviewed, |outcome| outcome.0);

label!("outcome", Outcome, |outcome| match outcome {
    Outcome::Done => "done",
    Outcome::Failed => "failed",
    Outcome::Refused => "refused",
});

label!("state", RuleState, |state| match state {
    RuleState::InForce => "in_force",
    RuleState::Broken => "broken",
});

label!("kind", FailureKind, |kind| kind.as_str());

impl EncodeLabelSet for Stage {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("state", self.as_str().to_lowercase()).encode(encoder.encode_label())
    }
}
