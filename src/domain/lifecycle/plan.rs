//! Plans the deliveries for a request: compares its state with the record.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::card::{Content, Remembered};
use crate::domain::lifecycle::{Aim, Audience, Change, Posted, Recipient, Record, RefusalPauses, Shown, Target, due};
use crate::domain::request::{AccessRequest, RequestId, Stage};

/// The newest known state of a request.
#[derive(Clone, Debug)]
pub enum Observed {
    Request(Arc<AccessRequest>),
    /// The request was deleted or has expired; with its last state, if the daemon observed it.
    Gone(Option<Arc<AccessRequest>>),
}

impl Observed {
    /// Returns the last observed state of the request, if there is one.
    pub fn request(&self) -> Option<&Arc<AccessRequest>> {
        match self {
            Self::Request(request) | Self::Gone(Some(request)) => Some(request),
            Self::Gone(None) => None,
        }
    }
}

/// The inputs of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub id: &'a RequestId,
    pub observed: &'a Observed,
    pub record: Option<&'a Record>,
    /// The targets of the request's cards.
    pub targets: &'a [Target],
    /// Targets whose conversation already has a card under another address, or belongs to the requester.
    pub aliases: &'a HashSet<Target>,
    /// Refusals recorded before this moment are retried now.
    pub retry_refused_before: Timestamp,
    pub refusal_pauses: RefusalPauses,
    pub now: Timestamp,
}

/// The plan for one request.
#[expect(clippy::large_enum_variant, reason = "a plan is consumed where it is made")]
#[derive(Debug)]
pub enum Plan {
    Nothing {
        why: Why,
        /// When refused deliveries are due for a retry.
        retry_at: Option<Timestamp>,
    },
    Work(Work),
}

/// The reason why a plan is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Every card is up to date, or cannot be updated now.
    UpToDate,
    /// The request was resolved or expired before it was announced.
    NeverAnnounced,
    NoRecipients,
    /// The cards show a later state than the observed one.
    Behind,
    /// A state that this version does not know.
    UnknownState,
}

/// Deliveries that all show the same state of a request.
#[derive(Debug)]
pub struct Work {
    /// What the cards are drawn from.
    pub content: Content,
    /// All targets of the request's cards.
    pub targets: Vec<Target>,
    pub aim: Aim,
    /// When refused deliveries are due for a retry.
    pub retry_at: Option<Timestamp>,
}

/// One delivery, which succeeds or fails independently.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Post(Target),
    Update(Posted),
}

impl Step {
    /// Returns whether the delivery updates an existing card.
    pub fn is_update(&self) -> bool {
        matches!(self, Self::Update(_))
    }

    /// Returns the recipient as the record writes it.
    pub fn recipient(&self) -> Recipient {
        match self {
            Self::Post(target) => target.recipient(),
            Self::Update(card) => card.recipient.clone(),
        }
    }

    /// Returns the audience of the card.
    pub fn audience(&self) -> Audience {
        match self {
            Self::Post(target) => target.audience,
            Self::Update(card) => card.recipient.audience,
        }
    }

    /// Returns whether the delivery is for a recipient.
    pub fn is_for(&self, recipient: &Recipient) -> bool {
        match self {
            Self::Post(target) => target.audience == recipient.audience && target.address.as_str() == recipient.name,
            Self::Update(card) => card.recipient == *recipient,
        }
    }

    /// Returns what changes for the recipient if the delivery shows this.
    pub fn change(&self, shown: Shown) -> Change {
        match self {
            Self::Post(target) => Change::of_post(target.audience),
            Self::Update(_) => Change::of_update(shown),
        }
    }
}

/// Plans the deliveries for a request.
pub fn plan(facts: Facts<'_>) -> Plan {
    match facts.observed {
        Observed::Request(request) => plan_request(facts, request),
        Observed::Gone(Some(last)) if last.stage.is_resolved() => plan_request(facts, last),
        Observed::Gone(last) => plan_end(facts, last.as_ref()),
    }
}

fn plan_request(facts: Facts<'_>, request: &Arc<AccessRequest>) -> Plan {
    let wanted = Shown::of(request);
    if request.stage == Stage::Unknown {
        return nothing(Why::UnknownState);
    }
    let behind = facts.record.is_some_and(|record| {
        let mut shown = record.cards.iter().map(|card| record.shown(card));
        shown.any(|shown| shown.is_ahead_of(wanted))
    });
    if behind {
        return nothing(Why::Behind);
    }
    let over = request.is_over(facts.now);
    let gets = |audience| due(audience, request.stage, over);
    let mut draft = Draft::new(facts, wanted);
    match facts.record {
        Some(record) => draft.update(record, |card| gets(card.recipient.audience).updates),
        None if request.stage.is_resolved() => return nothing(Why::NeverAnnounced),
        None if facts.targets.is_empty() && !over => return nothing(Why::NoRecipients),
        None => {}
    }
    draft.post(|target| gets(target.audience).posts);
    let resolve_reason = if request.stage.is_resolved() {
        &request.resolve_reason
    } else {
        ""
    };
    draft.plan(resolve_reason, || Content::Request(Arc::clone(request)))
}

/// Closes the cards of a request that expired or was deleted. Resolved cards stay unchanged: they do not show when granted
/// access ends.
fn plan_end(facts: Facts<'_>, last: Option<&Arc<AccessRequest>>) -> Plan {
    let Some(record) = facts.record else {
        return nothing(Why::NeverAnnounced);
    };
    let stage = record.resolution.unwrap_or(Stage::Expired);
    let ended = last.filter(|_| record.resolution.is_none()).map(|last| AccessRequest {
        stage,
        ..AccessRequest::clone(last)
    });
    let reviews = last.map_or(record.reviews, |last| last.reviews.len());
    let wanted = ended.as_ref().map_or_else(|| Shown::new(stage, reviews), Shown::of);
    let mut draft = Draft::new(facts, wanted);
    draft.update(record, |card| !record.shown(card).stage.is_resolved());
    draft.plan(&record.resolve_reason, || match ended {
        Some(ended) => Content::Request(Arc::new(ended)),
        None => Content::Record(Remembered {
            id: facts.id.clone(),
            user: record.user.clone(),
            roles: record.roles.clone(),
            reason: record.reason.clone(),
            reviews,
            stage,
            resolve_reason: record.resolve_reason.clone(),
        }),
    })
}

fn nothing(why: Why) -> Plan {
    Plan::Nothing { why, retry_at: None }
}

/// Builds a plan.
struct Draft<'a> {
    facts: Facts<'a>,
    wanted: Shown,
    steps: Vec<Step>,
    retry_at: Option<Timestamp>,
}

impl<'a> Draft<'a> {
    fn new(facts: Facts<'a>, wanted: Shown) -> Self {
        Self {
            facts,
            wanted,
            steps: Vec::new(),
            retry_at: None,
        }
    }

    /// Updates every card that is stale and passes `wants`.
    fn update(&mut self, record: &Record, wants: impl Fn(&Posted) -> bool) {
        for card in &record.cards {
            // A card without an ID cannot be updated.
            let stale = !card.activity.is_empty() && !record.shown(card).satisfies(self.wanted);
            if stale && wants(card) && self.is_due(&card.recipient) {
                self.steps.push(Step::Update(card.clone()));
            }
        }
    }

    /// Posts to every target that passes `wants` and has no card, not even under another address.
    fn post(&mut self, wants: impl Fn(&Target) -> bool) {
        let cards = self
            .facts
            .record
            .map(|record| record.cards.as_slice())
            .unwrap_or_default();
        let have: HashSet<Target> = cards.iter().filter_map(Posted::target).collect();
        let has_reviewer = cards.iter().any(|card| card.recipient.audience.reviews());
        for target in self.facts.targets.iter().filter(|target| wants(target)) {
            let without = !have.contains(target) && !self.facts.aliases.contains(target);
            // The requester learns who was asked, so a reviewer must have a card.
            let follows = target.audience != Audience::Requester || has_reviewer;
            if without && follows && self.is_due(&target.recipient()) {
                self.steps.push(Step::Post(target.clone()));
            }
        }
    }

    /// Returns whether a delivery was not refused or is due for a retry; otherwise records when it is due.
    fn is_due(&mut self, recipient: &Recipient) -> bool {
        let Facts { record, now, .. } = self.facts;
        let Some(refusal) = record.and_then(|record| record.refusals.get(recipient)) else {
            return true;
        };
        if refusal.is_spent() {
            return false;
        }
        // A time in the future comes from a clock that has been set back since.
        let renewed = refusal.since > now
            // An early retry is not safe for a post that may have arrived.
            || refusal.since < self.facts.retry_refused_before && !refusal.unconfirmed;
        let at = if renewed {
            now
        } else {
            match refusal.retry_at(self.wanted, self.facts.refusal_pauses) {
                Some(at) => at,
                None => return false,
            }
        };
        if at > now {
            self.retry_at = self.retry_at.into_iter().chain([at]).min();
        }
        at <= now
    }

    fn plan(self, resolve_reason: &str, content: impl FnOnce() -> Content) -> Plan {
        let Self {
            facts,
            wanted,
            steps,
            retry_at,
        } = self;
        if steps.is_empty() {
            let why = if has_only_excluded_targets(facts) {
                Why::NoRecipients
            } else {
                Why::UpToDate
            };
            return Plan::Nothing { why, retry_at };
        }
        Plan::Work(Work {
            content: content(),
            targets: facts.targets.to_vec(),
            aim: Aim {
                shown: wanted,
                resolve_reason: resolve_reason.to_owned(),
                steps,
            },
            retry_at,
        })
    }
}

/// Returns whether the request has no recipient, because every target is the requester under another name.
fn has_only_excluded_targets(facts: Facts<'_>) -> bool {
    let has_record = |record: &Record| {
        let cards = record.cards.iter().map(|card| &card.recipient);
        cards
            .chain(record.refusals.keys())
            .any(|recipient| recipient.audience.reviews())
    };
    let mut reviewers = facts
        .targets
        .iter()
        .filter(|target| target.audience.reviews())
        .peekable();
    let has_reviewers = reviewers.peek().is_some();
    has_reviewers && reviewers.all(|target| facts.aliases.contains(target)) && !facts.record.is_some_and(has_record)
}
