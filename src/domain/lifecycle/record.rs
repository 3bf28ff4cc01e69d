//! The record of one request's cards.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::domain::lifecycle::stored::posted_at;
use crate::domain::lifecycle::{Audience, Claim, Recipient, Shown, Target};
use crate::domain::recipients::{Address, Delegate};
use crate::domain::request::{AccessRequest, Stage};

/// The record of one request, kept in Teleport's plugin data.
///
/// The first group of fields is the Go plugin's, so that either program can continue the other's work. The
/// second group is ours; the Go plugin ignores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    pub user: String,
    /// Joined with `,`: a role with a comma in its name is ambiguous, so the text is only displayed.
    pub roles: String,
    pub reason: String,
    /// The number of reviews that every card shows.
    pub reviews: usize,
    /// The stage that every card shows once the request is resolved or has expired.
    pub resolution: Option<Stage>,
    pub resolve_reason: String,
    pub access_until: Option<Timestamp>,
    pub cards: Vec<Posted>,
    /// Entries of `messages` that could not be parsed, kept unchanged.
    pub unreadable: Vec<String>,
    /// The same of `x_other_cards`, as JSON.
    pub unreadable_others: Vec<String>,

    pub claim: Option<Claim>,
    /// The source of the recipients when the request was first claimed.
    pub routed_by: RoutedBy,
    /// The reviewers that recipients who are out of office name. They are recorded before their cards are posted.
    pub delegates: Vec<Delegate>,
    /// When the first delivery to a reviewer ended, also if Microsoft rejected it; earlier versions did not record it.
    pub announced: Option<Timestamp>,
    /// When the request itself expires.
    pub expires: Option<Timestamp>,
    /// Recipients whose card could not be delivered, by their address as written.
    pub refusals: BTreeMap<Recipient, Refusal>,
    /// Teleport rejected this record for its size, so optional parts are omitted.
    pub brief: bool,
}

/// The source of a request's recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoutedBy {
    /// Not recorded: the Go plugin wrote the record.
    #[default]
    Unknown,
    /// The routing table, and the suggested reviewers of the request.
    Table,
    /// Access Monitoring Rules, with the recipients that they named.
    Rules(Vec<NamedByRule>),
}

/// A recipient that a rule named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedByRule {
    pub recipient: String,
    /// The name of the rule; earlier versions did not record it.
    pub rule: Option<String>,
}

/// A card that was posted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Posted {
    /// Microsoft's ID of the message.
    pub activity: String,
    /// The time of posting, as the Go plugin writes it.
    pub posted: String,
    pub recipient: Recipient,
    /// The conversation of the card; unknown for cards of the Go plugin.
    pub conversation: Option<String>,
    /// The card is shared with other requests of the conversation, so this record's recipient alone does not decide what it shows.
    pub digest: bool,
    /// What the card shows; unknown for cards of the Go plugin, which records it once for all cards.
    pub shown: Option<Shown>,
    /// The card replaces a deleted one; it is not replaced a second time.
    pub replacement: bool,
}

/// A delivery that Microsoft refused, or never confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    pub why: String,
    /// When it last failed.
    pub since: Timestamp,
    /// What the card would have shown.
    pub at: Shown,
    /// The number of failures.
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

/// Maximum number of delegates of one request.
pub const MOST_DELEGATES: usize = 50;

/// Maximum number of posts of a card that Microsoft does not confirm. Each of them may have arrived, so this limits the cards
/// that one recipient can get for one request.
const MOST_UNCONFIRMED_POSTS: u32 = 5;

/// Maximum number of attempts for the last update of a card while Microsoft refuses it: no newer update will follow.
const MOST_REFUSED_LAST_UPDATES: u32 = 10;

/// The outcome of a delivery to one recipient. `shown` is what the delivered card shows.
///
/// Recipient and activity ID identify a card: activity IDs are unique only within a conversation, and each recipient of a
/// request has one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Posted {
        recipient: Recipient,
        activity: String,
        conversation: String,
        /// It replaces a deleted card.
        replacement: bool,
        /// It is shared with other requests.
        digest: bool,
        shown: Shown,
    },
    Updated {
        recipient: Recipient,
        activity: String,
        conversation: String,
        shown: Shown,
    },
    /// The card no longer exists.
    Vanished { recipient: Recipient, activity: String },
    /// The card cannot be delivered, and retrying immediately would not help.
    Refused {
        recipient: Recipient,
        why: String,
        shown: Shown,
    },
    /// The answer to a post was lost: the card may exist.
    Unconfirmed {
        recipient: Recipient,
        why: String,
        shown: Shown,
    },
}

impl Record {
    /// Creates the record of a request before its announcement.
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

    /// Returns what a card shows; for cards of the Go plugin, the record has one value for all cards.
    pub fn shown(&self, card: &Posted) -> Shown {
        let shown = || Shown::new(self.resolution.unwrap_or(Stage::Pending), self.reviews);
        card.shown.unwrap_or_else(shown)
    }

    /// Returns when the request expires, if the record says so. The Go plugin does not record it, but no request outlives its
    /// access.
    pub fn end(&self) -> Option<Timestamp> {
        self.expires.or(self.access_until)
    }

    /// Returns whether the request has expired.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// Returns when the request was announced, as far as it is known; `None` before. A request whose reviewers cannot be reached
    /// counts as announced, because others must be notified of it all the more.
    pub fn announced_at(&self, request: &AccessRequest) -> Option<Timestamp> {
        self.announced.or(request.created).filter(|_| self.is_announced())
    }

    /// Returns whether a delivery to a reviewer has ended.
    fn is_announced(&self) -> bool {
        let cards = self.cards.iter().map(|card| &card.recipient);
        let mut recipients = cards.chain(self.refusals.keys());
        self.announced.is_some() || recipients.any(|recipient| recipient.audience == Audience::Reviewers)
    }

    /// Adds delegates, at most one for each recipient who is out of office.
    pub fn add_delegates(&mut self, found: &[Delegate]) {
        for delegate in found {
            let is_known = |known: &Delegate| {
                known.absent == delegate.absent || known.recipient.eq_ignore_ascii_case(&delegate.recipient)
            };
            if self.delegates.len() < MOST_DELEGATES && !self.delegates.iter().any(is_known) {
                self.delegates.push(delegate.clone());
            }
        }
    }

    /// Returns why a recipient is a delegate, if it is one.
    pub fn delegate(&self, recipient: &Recipient) -> Option<&Delegate> {
        let mut delegates = self
            .delegates
            .iter()
            .filter(|_| recipient.audience == Audience::Reviewers);
        delegates.find(|delegate| delegate.recipient == recipient.name)
    }

    /// Records when the first delivery to a reviewer ended. What an earlier version or the Go plugin announced keeps its time.
    fn announce(&mut self, recipient: &Recipient, now: Timestamp) {
        if recipient.audience == Audience::Reviewers && !self.is_announced() {
            self.announced = Some(now);
        }
    }

    /// Returns whether every card of a reviewer that can be updated shows this; when a request expires, a resolved card stays unchanged.
    pub fn all_show(&self, wanted: Shown) -> bool {
        let is_updated = |card: &&Posted| !card.activity.is_empty() && card.recipient.audience.reviews();
        let mut cards = self.cards.iter().filter(is_updated);
        cards.all(|card| {
            let shown = self.shown(card);
            shown.satisfies(wanted) || shown.stage.is_resolved() && wanted.stage == Stage::Expired
        })
    }

    /// Returns the card of a recipient with this activity id.
    pub fn card(&self, recipient: &Recipient, activity: &str) -> Option<&Posted> {
        self.cards.iter().find(|card| card.is(recipient, activity))
    }

    /// Records one outcome.
    pub fn note(&mut self, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Posted {
                recipient,
                activity,
                conversation,
                replacement,
                digest,
                shown,
            } => {
                self.refusals.remove(&recipient);
                self.announce(&recipient, now);
                self.cards.push(Posted {
                    activity,
                    posted: posted_at(now),
                    recipient,
                    conversation: Some(conversation),
                    digest,
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
        self.announce(&recipient, since);
        let before = self.refusals.get(&recipient);
        // An unconfirmed card counts for the lifetime of the request, whatever its current state.
        let unconfirmed = unconfirmed || before.is_some_and(|before| before.unconfirmed);
        let counts = |before: &&Refusal| before.at.is_same(at) || unconfirmed;
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

    /// Records in the Go plugin's keys that every card shows this. As in that plugin, a resolution does not change the number
    /// of reviews.
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
    /// Returns the target of the card; `None` if the recipient cannot be parsed.
    pub fn target(&self) -> Option<Target> {
        let address = Address::parse(&self.recipient.name).ok()?;
        let audience = self.recipient.audience;
        Some(Target { audience, address })
    }

    /// Returns whether this is the recipient's card with this activity ID.
    pub fn is(&self, recipient: &Recipient, activity: &str) -> bool {
        self.activity == activity && self.recipient == *recipient
    }
}

impl Refusal {
    /// Returns whether the card has reached the maximum number of unconfirmed posts.
    pub fn is_spent(&self) -> bool {
        self.unconfirmed && self.times >= MOST_UNCONFIRMED_POSTS
    }

    /// Returns when the delivery of a card that shows `wanted` can be retried, and `None` for never. A card that shows something
    /// else can be retried at any time. An unconfirmed post is retried after a quarter of the first pause, and then after four
    /// times the previous pause.
    pub fn retry_at(&self, wanted: Shown, pauses: RefusalPauses) -> Option<Timestamp> {
        if self.is_spent() {
            return None;
        }
        if !self.at.is_same(wanted) && !self.unconfirmed {
            return Some(Timestamp::MIN);
        }
        if wanted.stage.is_resolved() && self.times >= MOST_REFUSED_LAST_UPDATES {
            return None;
        }
        let pause = if self.unconfirmed {
            // The first retry is early because the post usually has not arrived; later retries are increasingly rare.
            pauses.after(self.times.saturating_mul(2).saturating_sub(1)) / 4
        } else {
            pauses.after(self.times)
        };
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        Some(self.since.checked_add(pause).unwrap_or(Timestamp::MAX))
    }
}

impl RefusalPauses {
    /// Returns the pause after a number of refusals.
    pub fn after(self, times: u32) -> Duration {
        let doubled = 2_u32.checked_pow(times.saturating_sub(1));
        let pause = doubled.and_then(|factor| self.first.checked_mul(factor));
        pause.unwrap_or(self.longest).min(self.longest)
    }
}
