//! From what is and what was told to what is to be done.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::card::{CardCluster, Message, Remembered, of_record, of_request};
use crate::domain::lifecycle::{Aim, Audience, Change, Posted, Recipient, Record, RefusalPauses, Shown, Target, due};
use crate::domain::request::{AccessRequest, RequestId, Stage};

/// The newest we know of a request.
#[derive(Clone, Debug)]
pub enum Observed {
    Request(Arc<AccessRequest>),
    /// It is over: deleted, or past its recorded end. What it was like last is known if we saw it.
    Gone(Option<Arc<AccessRequest>>),
}

/// Everything a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub cluster: &'a CardCluster,
    pub id: &'a RequestId,
    pub observed: &'a Observed,
    pub record: Option<&'a Record>,
    /// Where cards are to be.
    pub targets: &'a [Target],
    /// Targets whose conversation has a card under another address.
    pub aliases: &'a HashSet<Target>,
    /// Refusals recorded before this moment are retried now.
    pub retry_refused_before: Timestamp,
    pub refusal_pauses: RefusalPauses,
    pub now: Timestamp,
}

/// What to do about one request.
#[derive(Debug)]
pub enum Plan {
    Nothing {
        why: Why,
        /// When refused deliveries are due again.
        retry_at: Option<Timestamp>,
    },
    Work(Work),
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Every card is as it should be, or cannot be made so now.
    UpToDate,
    /// Decided or over before anybody was told.
    NeverAnnounced,
    NoRecipients,
    /// The cards already show a later state than the one we see.
    Behind,
    /// A state that this version does not know.
    UnknownState,
}

/// One card for each audience that gets a delivery.
#[derive(Debug, Default)]
pub struct Messages(Vec<(Audience, Message)>);

impl Messages {
    fn draw(&mut self, audience: Audience, draw: impl Fn(Audience) -> Message) {
        if self.of(audience).is_none() {
            self.0.push((audience, draw(audience)));
        }
    }

    /// Returns the card of an audience.
    pub fn of(&self, audience: Audience) -> Option<&Message> {
        self.iter()
            .find_map(|(drawn, message)| (drawn == audience).then_some(message))
    }

    /// Returns all cards.
    pub fn iter(&self) -> impl Iterator<Item = (Audience, &Message)> {
        self.0.iter().map(|(audience, message)| (*audience, message))
    }
}

/// Deliveries that all show the same state of a request.
#[derive(Debug)]
pub struct Work {
    pub messages: Messages,
    pub aim: Aim,
    /// When refused deliveries are due again.
    pub retry_at: Option<Timestamp>,
}

/// One delivery; it succeeds or fails alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Post(Target),
    Update(Posted),
}

impl Step {
    /// Tells whether the card is there already.
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

    /// Returns whom the card is drawn for.
    pub fn audience(&self) -> Audience {
        match self {
            Self::Post(target) => target.audience,
            Self::Update(card) => card.recipient.audience,
        }
    }

    /// Tells whether the delivery is for a recipient.
    pub fn is_for(&self, recipient: &Recipient) -> bool {
        match self {
            Self::Post(target) => target.audience == recipient.audience && target.address.as_str() == recipient.name,
            Self::Update(card) => card.recipient == *recipient,
        }
    }

    /// Returns what the delivery of a card that shows this tells.
    pub fn change(&self, shown: Shown) -> Change {
        match self {
            Self::Post(_) => Change::Announcement,
            Self::Update(_) => Change::of_update(shown),
        }
    }
}

/// Decides what is to be done for a request.
pub fn plan(facts: Facts<'_>) -> Plan {
    match facts.observed {
        Observed::Request(request) => plan_request(facts, request),
        Observed::Gone(Some(last)) if last.stage.is_resolved() => plan_request(facts, last),
        Observed::Gone(last) => plan_end(facts, last.as_deref()),
    }
}

fn plan_request(facts: Facts<'_>, request: &AccessRequest) -> Plan {
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
    draft.plan(resolve_reason, |audience| match audience {
        Audience::Reviewers => of_request(facts.cluster, request),
    })
}

/// Closes the cards of a request that is over. A resolved card stays as it is: the end of an access that was granted is
/// no news.
fn plan_end(facts: Facts<'_>, last: Option<&AccessRequest>) -> Plan {
    let Some(record) = facts.record else {
        return nothing(Why::NeverAnnounced);
    };
    let reviews = last.map_or(record.reviews, |last| last.reviews.len());
    let wanted = Shown {
        stage: record.resolution.unwrap_or(Stage::Expired),
        reviews,
    };
    let mut draft = Draft::new(facts, wanted);
    draft.update(record, |card| !record.shown(card).stage.is_resolved());
    draft.plan(&record.resolve_reason, |Audience::Reviewers| match last {
        Some(last) if record.resolution.is_none() => {
            let ended = AccessRequest {
                stage: wanted.stage,
                ..last.clone()
            };
            of_request(facts.cluster, &ended)
        }
        Some(_) | None => {
            let remembered = Remembered {
                id: facts.id,
                user: &record.user,
                roles: &record.roles,
                reason: &record.reason,
                reviews,
                stage: wanted.stage,
                resolve_reason: &record.resolve_reason,
            };
            of_record(facts.cluster, &remembered)
        }
    })
}

fn nothing(why: Why) -> Plan {
    Plan::Nothing { why, retry_at: None }
}

/// A plan in the making.
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
            // Without an id, a card cannot be updated.
            let stale = !card.activity.is_empty() && !record.shown(card).satisfies(self.wanted);
            if stale && wants(card) && self.is_due(&card.recipient) {
                self.steps.push(Step::Update(card.clone()));
            }
        }
    }

    /// Posts to every target that wants it and has no card, and none under another address.
    fn post(&mut self, wants: impl Fn(&Target) -> bool) {
        let cards = self
            .facts
            .record
            .map(|record| record.cards.as_slice())
            .unwrap_or_default();
        let have: HashSet<Target> = cards.iter().filter_map(Posted::target).collect();
        for target in self.facts.targets.iter().filter(|target| wants(target)) {
            let without = !have.contains(target) && !self.facts.aliases.contains(target);
            if without && self.is_due(&target.recipient()) {
                self.steps.push(Step::Post(target.clone()));
            }
        }
    }

    /// Tells whether a delivery was not refused, or may be retried by now; otherwise remembers when.
    fn is_due(&mut self, recipient: &Recipient) -> bool {
        let Facts { record, now, .. } = self.facts;
        let Some(refusal) = record.and_then(|record| record.refusals.get(recipient)) else {
            return true;
        };
        if refusal.is_spent() {
            return false;
        }
        // A time of the future was written by a clock that was set back since.
        let renewed = refusal.since > now
            // What may have fixed a refusal does not make a post safe that may have arrived.
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

    fn plan(self, resolve_reason: &str, draw: impl Fn(Audience) -> Message) -> Plan {
        let Self {
            wanted,
            steps,
            retry_at,
            ..
        } = self;
        if steps.is_empty() {
            let why = Why::UpToDate;
            return Plan::Nothing { why, retry_at };
        }
        let mut messages = Messages::default();
        for step in &steps {
            messages.draw(step.audience(), &draw);
        }
        Plan::Work(Work {
            messages,
            aim: Aim {
                shown: wanted,
                resolve_reason: resolve_reason.to_owned(),
                steps,
            },
            retry_at,
        })
    }
}
