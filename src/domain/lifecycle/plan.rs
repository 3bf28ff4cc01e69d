//! From what is and what was told to what is to be done.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::card::{Cluster, Message, Remembered, of_record, of_request};
use crate::domain::lifecycle::{Posted, Record, Shown};
use crate::domain::recipients::Address;
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
    pub cluster: &'a Cluster,
    pub id: &'a RequestId,
    pub observed: &'a Observed,
    pub record: Option<&'a Record>,
    pub recipients: &'a [Address],
    /// Addresses of people who were told under another one.
    pub told: &'a HashSet<Address>,
    /// Refusals noted before this moment are tried again.
    pub retry_refused_before: Timestamp,
    pub now: Timestamp,
}

/// What to do about one request.
#[derive(Debug)]
pub enum Plan {
    Nothing(Why),
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

/// Deliveries of one and the same card.
#[derive(Debug)]
pub struct Work {
    pub message: Message,
    pub shown: Shown,
    pub resolve_reason: String,
    pub steps: Vec<Step>,
}

/// One delivery; it succeeds or fails alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Post(Address),
    Update(Posted),
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
        return Plan::Nothing(Why::UnknownState);
    }
    let behind = facts.record.is_some_and(|record| {
        let mut shown = record.cards.iter().map(|card| record.shown(card));
        shown.any(|shown| shown.is_ahead_of(wanted))
    });
    if behind {
        return Plan::Nothing(Why::Behind);
    }
    match request.stage {
        Stage::Unknown | Stage::Pending => {}
        Stage::Approved | Stage::Denied | Stage::Promoted | Stage::Expired => {
            let Some(record) = facts.record else {
                return Plan::Nothing(Why::NeverAnnounced);
            };
            let steps = updates(facts, record, wanted);
            return work(steps, wanted, &request.resolve_reason, || {
                of_request(facts.cluster, request)
            });
        }
    }
    let over = request.expires.is_some_and(|end| end <= facts.now);
    let mut steps = facts
        .record
        .map(|record| updates(facts, record, wanted))
        .unwrap_or_default();
    if over {
        // It only waits to be deleted; nobody can review it any more.
        return work(steps, wanted, "", || of_request(facts.cluster, request));
    }
    let posts = posts(facts, wanted);
    if facts.recipients.is_empty() && steps.is_empty() && facts.record.is_none() {
        return Plan::Nothing(Why::NoRecipients);
    }
    steps.extend(posts);
    work(steps, wanted, "", || of_request(facts.cluster, request))
}

/// Closes the cards of a request that is over. A resolved card stays as it is: the end of an access that was granted is
/// no news.
fn plan_end(facts: Facts<'_>, last: Option<&AccessRequest>) -> Plan {
    let Some(record) = facts.record else {
        return Plan::Nothing(Why::NeverAnnounced);
    };
    let reviews = last.map_or(record.reviews, |last| last.reviews.len());
    let wanted = Shown {
        stage: record.resolution.unwrap_or(Stage::Expired),
        reviews,
    };
    let open = |card: &Posted| !record.shown(card).stage.is_resolved();
    let mut steps = updates(facts, record, wanted);
    steps.retain(|step| matches!(step, Step::Update(card) if open(card)));
    work(steps, wanted, &record.resolve_reason, || match last {
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

fn work(steps: Vec<Step>, shown: Shown, resolve_reason: &str, message: impl FnOnce() -> Message) -> Plan {
    if steps.is_empty() {
        return Plan::Nothing(Why::UpToDate);
    }
    Plan::Work(Work {
        message: message(),
        shown,
        resolve_reason: resolve_reason.to_owned(),
        steps,
    })
}

fn updates(facts: Facts<'_>, record: &Record, wanted: Shown) -> Vec<Step> {
    let stale = |card: &&Posted| {
        // Without an id, a card cannot be updated.
        !card.activity.is_empty()
            && !record.shown(card).satisfies(wanted)
            && !is_refused(facts, &card.recipient, wanted)
    };
    record.cards.iter().filter(stale).cloned().map(Step::Update).collect()
}

/// Posts to everybody who has no card, was not told under another address, and was not refused lately.
fn posts(facts: Facts<'_>, wanted: Shown) -> Vec<Step> {
    let cards = facts.record.map(|record| record.cards.as_slice()).unwrap_or_default();
    let have: HashSet<Address> = cards
        .iter()
        .filter_map(|card| Address::parse(&card.recipient).ok())
        .collect();
    let wanting = facts.recipients.iter().filter(|address| {
        !have.contains(*address) && !facts.told.contains(*address) && !is_refused(facts, address.as_str(), wanted)
    });
    wanting.cloned().map(Step::Post).collect()
}

fn is_refused(facts: Facts<'_>, recipient: &str, wanted: Shown) -> bool {
    let skip = facts.record.and_then(|record| record.skipped.get(recipient));
    skip.is_some_and(|skip| skip.at == wanted && skip.since >= facts.retry_refused_before)
}
