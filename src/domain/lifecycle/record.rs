//! What we already told Teams about one request.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::domain::lifecycle::stored::posted_at;
use crate::domain::lifecycle::{Claim, Recipient, Target};
use crate::domain::recipients::Address;
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
    /// What chose the recipients when the request was claimed first.
    pub routed_by: RoutedBy,
    /// When the request itself ends.
    pub expires: Option<Timestamp>,
    /// Recipients whose card could not be delivered, by their string.
    pub refusals: BTreeMap<Recipient, Refusal>,
    /// Teleport refused this record for its size; less of it is written since.
    pub brief: bool,
}

/// What chose the recipients of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoutedBy {
    /// Not recorded: the record is the Go plugin's.
    #[default]
    Unknown,
    /// The routing table, and the suggested reviewers of the request.
    Table,
    /// Access Monitoring Rules, which named these.
    Rules(Vec<String>),
}

/// A card that was posted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Posted {
    /// Microsoft's id of the message.
    pub activity: String,
    /// The time of posting as the Go plugin writes it.
    pub posted: String,
    pub recipient: Recipient,
    /// Where the card is; unknown for cards of the Go plugin.
    pub conversation: Option<String>,
    /// What the card shows; unknown for cards of the Go plugin, which keeps it for all cards at once.
    pub shown: Option<Shown>,
    /// The card replaces one that somebody deleted; it is not replaced a second time.
    pub replacement: bool,
}

/// What a card shows, as far as it can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    pub stage: Stage,
    pub reviews: usize,
}

/// A delivery that Microsoft refused, or never confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    pub why: String,
    /// When it failed last.
    pub since: Timestamp,
    /// What the card would have shown.
    pub at: Shown,
    /// How often it has failed.
    pub times: u32,
    /// The card may have been posted: Microsoft did not confirm it.
    pub unconfirmed: bool,
}

/// The pauses before a refused delivery is retried. They double with each refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalPauses {
    pub first: Duration,
    pub longest: Duration,
}

/// How often a card is posted while Microsoft confirms none of the posts. Each of them may have arrived, so this bounds the
/// cards that one recipient can get for one request.
const MOST_UNCONFIRMED_POSTS: u32 = 5;

/// How often the last update of a card is tried while Microsoft refuses it: nothing newer will come that could change that.
const MOST_REFUSED_LAST_UPDATES: u32 = 10;

/// What was really done for one recipient. `shown` is what the delivered card shows.
///
/// A card is named by its recipient and its activity: Microsoft numbers the messages of each conversation on its own, so two
/// conversations may use the same activity id, and a recipient of a request has one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Posted {
        recipient: Recipient,
        activity: String,
        conversation: String,
        /// It replaces a card that somebody deleted.
        replacement: bool,
        shown: Shown,
    },
    Updated {
        recipient: Recipient,
        activity: String,
        conversation: String,
        shown: Shown,
    },
    /// The card is not there any more.
    Vanished { recipient: Recipient, activity: String },
    /// The card cannot be delivered, and retrying immediately would not help.
    Refused {
        recipient: Recipient,
        why: String,
        shown: Shown,
    },
    /// A post whose answer was lost: the card may be there.
    Unconfirmed {
        recipient: Recipient,
        why: String,
        shown: Shown,
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

    /// Returns when the request ends, as far as the record says. The Go plugin does not note that; the request is over at the
    /// latest when its access would be.
    pub fn end(&self) -> Option<Timestamp> {
        self.expires.or(self.access_until)
    }

    /// Tells whether the end of the request has passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// Tells whether every card that can be updated shows this; at the end of a request, a decision stays on its card.
    pub fn all_show(&self, wanted: Shown) -> bool {
        let mut cards = self.cards.iter().filter(|card| !card.activity.is_empty());
        cards.all(|card| {
            let shown = self.shown(card);
            shown.satisfies(wanted) || shown.stage.is_resolved() && wanted.stage == Stage::Expired
        })
    }

    /// Returns the card of a recipient with this activity id.
    pub fn card(&self, recipient: &Recipient, activity: &str) -> Option<&Posted> {
        self.cards.iter().find(|card| card.is(recipient, activity))
    }

    /// Records one thing that was done.
    pub fn note(&mut self, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Posted {
                recipient,
                activity,
                conversation,
                replacement,
                shown,
            } => {
                self.refusals.remove(&recipient);
                self.cards.push(Posted {
                    activity,
                    posted: posted_at(now),
                    recipient,
                    conversation: Some(conversation),
                    shown: Some(shown),
                    replacement,
                });
            }
            Outcome::Updated {
                recipient,
                activity,
                conversation,
                shown,
            } => {
                if let Some(card) = self.cards.iter_mut().find(|card| card.is(&recipient, &activity)) {
                    card.shown = Some(shown);
                    card.conversation = Some(conversation);
                    self.refusals.remove(&recipient);
                }
            }
            Outcome::Vanished { recipient, activity } => self.cards.retain(|card| !card.is(&recipient, &activity)),
            Outcome::Refused { recipient, why, shown } => self.refuse(recipient, why, shown, now, false),
            Outcome::Unconfirmed { recipient, why, shown } => self.refuse(recipient, why, shown, now, true),
        }
    }

    fn refuse(&mut self, recipient: Recipient, why: String, at: Shown, since: Timestamp, unconfirmed: bool) {
        let before = self.refusals.get(&recipient);
        // A card that may be there counts for as long as the request lives, whatever the request looks like by now.
        let unconfirmed = unconfirmed || before.is_some_and(|before| before.unconfirmed);
        let counts = |before: &&Refusal| before.at == at || unconfirmed;
        let times = before.filter(counts).map_or(0, |before| before.times) + 1;
        let refusal = Refusal {
            why,
            since,
            at,
            times,
            unconfirmed,
        };
        self.refusals.insert(recipient, refusal);
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

impl Posted {
    /// Returns where the card is to be; `None` if the recipient cannot be read.
    pub fn target(&self) -> Option<Target> {
        let address = Address::parse(&self.recipient.name).ok()?;
        let audience = self.recipient.audience;
        Some(Target { audience, address })
    }

    /// Tells whether this is the recipient's card with this activity id.
    pub fn is(&self, recipient: &Recipient, activity: &str) -> bool {
        self.activity == activity && self.recipient == *recipient
    }
}

impl Refusal {
    /// Tells whether the card was posted as often as it may be without a confirmation.
    pub fn is_spent(&self) -> bool {
        self.unconfirmed && self.times >= MOST_UNCONFIRMED_POSTS
    }

    /// Returns when the delivery of a card that shows `wanted` may be retried: a card that shows something else at any time.
    /// `None` means never. A post that was not confirmed is repeated after a quarter of the first pause, and then after
    /// four times the pause before.
    pub fn retry_at(&self, wanted: Shown, pauses: RefusalPauses) -> Option<Timestamp> {
        if self.is_spent() {
            return None;
        }
        if self.at != wanted && !self.unconfirmed {
            return Some(Timestamp::MIN);
        }
        if wanted.stage.is_resolved() && self.times >= MOST_REFUSED_LAST_UPDATES {
            return None;
        }
        let pause = if self.unconfirmed {
            // Sooner the first time, since most often nothing has arrived, and then more and more rarely.
            pauses.after(self.times.saturating_mul(2).saturating_sub(1)) / 4
        } else {
            pauses.after(self.times)
        };
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        Some(self.since.checked_add(pause).unwrap_or(Timestamp::MAX))
    }
}

impl RefusalPauses {
    /// Returns the pause after so many refusals.
    pub fn after(self, times: u32) -> Duration {
        let doubled = 2_u32.checked_pow(times.saturating_sub(1));
        let pause = doubled.and_then(|factor| self.first.checked_mul(factor));
        pause.unwrap_or(self.longest).min(self.longest)
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
    pub fn lower_bound(self, other: Self) -> Self {
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
