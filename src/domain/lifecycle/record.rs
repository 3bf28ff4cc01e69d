//! What we already told Teams about one request.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::domain::lifecycle::Claim;
use crate::domain::lifecycle::stored::posted_at;
use crate::domain::request::{AccessRequest, Stage};

/// The record of one request, kept in Teleport's plugin data.
///
/// The first group of fields is the Go plugin's, so that either program can go on with what the other left. The second
/// is ours; the Go plugin does not see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    pub user: String,
    /// Joined with `,`: a role with a comma in its name cannot be told apart, and is only shown.
    pub roles: String,
    pub reason: String,
    /// How many reviews every card shows.
    pub reviews: usize,
    /// What every card shows, once the request is decided or over.
    pub resolution: Option<Stage>,
    pub resolve_reason: String,
    pub access_until: Option<Timestamp>,
    pub cards: Vec<Posted>,
    /// Entries of `messages` that could not be read, kept as they are.
    pub unreadable: Vec<String>,

    pub claim: Option<Claim>,
    /// Whom the rules named when the request was claimed first; nobody if the routing table decides. Unknown if that was
    /// not this program.
    pub named: Option<Vec<String>>,
    /// When the request itself ends.
    pub expires: Option<Timestamp>,
    /// Recipients that were not told, by their string, and why.
    pub skipped: BTreeMap<String, Skip>,
}

/// A card that was posted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Posted {
    /// Microsoft's id of the message.
    pub activity: String,
    /// The time of posting as the Go plugin writes it.
    pub posted: String,
    /// The recipient as it was written.
    pub recipient: String,
    /// Where the card is; unknown for cards of the Go plugin.
    pub conversation: Option<String>,
    /// What the card shows; unknown for cards of the Go plugin, which keeps it for all cards at once.
    pub shown: Option<Shown>,
    /// The card replaces one that somebody deleted; it is not replaced a second time.
    pub again: bool,
}

/// What a card shows, as far as it can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    pub stage: Stage,
    pub reviews: usize,
}

/// Why a recipient is left out, since when, and what their card would have shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Skip {
    pub why: String,
    pub since: Timestamp,
    pub at: Shown,
}

/// What was really done for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Posted {
        recipient: String,
        activity: String,
        conversation: String,
        /// It replaces a card that somebody deleted.
        again: bool,
    },
    Updated {
        activity: String,
        conversation: String,
    },
    /// The card is not there any more.
    Vanished {
        activity: String,
    },
    /// The recipient cannot be told, and trying again at once would not help.
    Refused {
        recipient: String,
        why: String,
    },
}

impl Record {
    /// Begins the record of a request that is to be announced.
    pub fn begin(request: &AccessRequest) -> Self {
        Self {
            user: request.user.clone(),
            roles: request.roles.join(","),
            reason: request.reason.clone(),
            access_until: request.access_until,
            expires: request.expires,
            ..Self::default()
        }
    }

    /// Returns what a card shows; cards of the Go plugin show what the record says of all.
    pub fn shown(&self, card: &Posted) -> Shown {
        card.shown.unwrap_or(Shown {
            stage: self.resolution.unwrap_or(Stage::Pending),
            reviews: self.reviews,
        })
    }

    /// Notes one thing that was done; `shown` is what the card shows since.
    pub fn note(&mut self, outcome: Outcome, shown: Shown, now: Timestamp) {
        match outcome {
            Outcome::Posted {
                recipient,
                activity,
                conversation,
                again,
            } => {
                self.skipped.remove(&recipient);
                self.cards.push(Posted {
                    activity,
                    posted: posted_at(now),
                    recipient,
                    conversation: Some(conversation),
                    shown: Some(shown),
                    again,
                });
            }
            Outcome::Updated { activity, conversation } => {
                if let Some(card) = self.cards.iter_mut().find(|card| card.activity == activity) {
                    card.shown = Some(shown);
                    card.conversation = Some(conversation);
                    self.skipped.remove(&card.recipient);
                }
            }
            Outcome::Vanished { activity } => self.cards.retain(|card| card.activity != activity),
            Outcome::Refused { recipient, why } => {
                let skip = Skip {
                    why,
                    since: now,
                    at: shown,
                };
                self.skipped.insert(recipient, skip);
            }
        }
    }

    /// Notes, in the Go plugin's keys, that every card shows this. Like that plugin, a resolution leaves the count of
    /// reviews as it was.
    pub fn conclude(&mut self, shown: Shown, resolve_reason: &str) {
        if shown.stage.is_resolved() {
            self.resolution = Some(shown.stage);
            resolve_reason.clone_into(&mut self.resolve_reason);
        } else {
            self.resolution = None;
            self.reviews = shown.reviews;
        }
    }
}

impl Shown {
    /// Returns what a card of this request has to show.
    pub fn of(request: &AccessRequest) -> Self {
        Self {
            stage: request.stage,
            reviews: request.reviews.len(),
        }
    }

    /// Tells whether a card that shows this needs no update to show the other: a resolved card does not care how many
    /// reviews were counted, because the Go plugin does not count them when it resolves.
    pub fn satisfies(self, wanted: Self) -> bool {
        self.stage == wanted.stage && (self.stage.is_resolved() || self.reviews == wanted.reviews)
    }

    /// Returns what can be relied on of a card that two have updated, neither knowing who was last: the one that is
    /// less far on, so that another update follows if that is wrong.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        if self == other || other.is_ahead_of(self) {
            self
        } else if self.is_ahead_of(other) {
            other
        } else {
            Self {
                stage: Stage::Pending,
                reviews: self.reviews.min(other.reviews),
            }
        }
    }

    /// Tells whether this is further on in the life of a request. Of two decisions the one with more reviews is, since
    /// reviews are never taken back; without that, nobody can tell.
    pub fn is_ahead_of(self, other: Self) -> bool {
        let rank = |shown: Self| (shown.stage.is_resolved(), shown.reviews);
        rank(self) > rank(other)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stage, self.reviews)
    }
}
