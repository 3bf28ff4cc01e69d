//! The state of each recipient of a request.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::domain::lifecycle::{
    Audience, Due, Facts, Observed, Plan, Posted, Recipient, Record, Refusal, RefusalPauses, RoutedBy, Shown, Step,
    Tables, Target, Why, due, plan, reason,
};
use crate::domain::recipients::{Address, Reason};
use crate::domain::request::{RequestId, Stage};

/// What the state of the recipients depends on.
#[derive(Clone, Copy, Debug)]
pub struct RecipientFacts<'a> {
    pub id: &'a RequestId,
    pub observed: &'a Observed,
    pub record: Option<&'a Record>,
    /// The targets of the request's cards now.
    pub targets: &'a [Target],
    /// Every address that rules, the table and the request name, the requester's included.
    pub routed: &'a [Address],
    /// How the request was routed, or is routed now if the record does not contain it.
    pub routed_by: &'a RoutedBy,
    pub tables: Tables<'a>,
    pub refusal_pauses: RefusalPauses,
    pub now: Timestamp,
}

/// The recipients of a request, and why no delivery is due, if none is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    pub recipients: Vec<Found>,
    pub why_nothing: Option<Why>,
}

/// One recipient, as the record writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub recipient: Recipient,
    /// `None` if the current configuration does not name the recipient.
    pub reason: Option<Reason>,
    pub cards: Vec<CardState>,
    /// The last failed delivery, and when it is retried.
    pub refusal: Option<(Refusal, Retry)>,
    /// The next run of the daemon posts a card.
    pub is_due: bool,
    /// The recipient is the requester, who is never asked to review.
    pub is_requester: bool,
}

/// A card of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardState {
    /// The time of posting, as the record has it.
    pub posted: String,
    pub shown: Shown,
    pub freshness: Freshness,
    pub is_digest: bool,
    pub is_replacement: bool,
}

/// How a card compares with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    Current,
    /// The card shows an earlier state, and is updated.
    Stale,
    /// The card shows a later state than the one that was read.
    Ahead,
    /// Microsoft returned no ID for the card, so it is never updated.
    Fixed,
}

/// When a failed delivery is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Now,
    At(Timestamp),
    /// It has failed too often.
    Never,
    /// The request no longer needs it.
    NotNeeded,
}

/// Returns the state of every recipient: those of the request now, and those of the record.
pub fn explain(facts: RecipientFacts<'_>) -> Explained {
    // Which addresses share a conversation is only known to Microsoft.
    let aliases = HashSet::new();
    let planned = plan(Facts {
        id: facts.id,
        observed: facts.observed,
        record: facts.record,
        targets: facts.targets,
        aliases: &aliases,
        retry_refused_before: Timestamp::MIN,
        refusal_pauses: facts.refusal_pauses,
        now: facts.now,
    });
    let (steps, why_nothing) = match planned {
        Plan::Work(work) => (work.aim.steps, None),
        Plan::Nothing { why, .. } => (Vec::new(), Some(why)),
    };
    let mut names: Vec<Recipient> = Vec::new();
    let mut add = |recipient: Recipient| {
        if !names.contains(&recipient) {
            names.push(recipient);
        }
    };
    let cards = facts.record.map(|record| record.cards.as_slice()).unwrap_or_default();
    // A card may be recorded under another spelling of the address.
    let as_recorded = |target: &Target| {
        let mut cards = cards.iter();
        let card = cards.find(|card| card.target().as_ref() == Some(target));
        card.map_or_else(|| target.recipient(), |card| card.recipient.clone())
    };
    facts.targets.iter().map(as_recorded).for_each(&mut add);
    cards.iter().map(|card| card.recipient.clone()).for_each(&mut add);
    let refusals = facts.record.into_iter().flat_map(|record| record.refusals.keys());
    refusals.cloned().for_each(&mut add);
    let requester = facts.observed.request().map(|request| request.user.as_str());
    let is_requester = |address: &Address| requester.is_some_and(|user| address.is_user_name(user));
    let routed = facts.routed.iter().filter(|address| is_requester(address));
    routed
        .map(|address| Recipient::reviewer(address.as_str()))
        .for_each(&mut add);
    names.sort_by_key(|recipient| recipient.audience);
    let found = names.into_iter().map(|recipient| Found {
        reason: facts
            .observed
            .request()
            .and_then(|request| reason(facts.tables, request, (facts.routed_by, facts.record), &recipient)),
        cards: cards
            .iter()
            .filter(|card| card.recipient == recipient)
            .filter_map(|card| Some(state(facts, facts.record?, card)))
            .collect(),
        refusal: refusal(facts, &recipient),
        is_due: steps.iter().any(|step| posts(step, &recipient)),
        is_requester: recipient.audience.reviews()
            && Address::parse(&recipient.name).is_ok_and(|address| is_requester(&address)),
        recipient,
    });
    Explained {
        recipients: found.collect(),
        why_nothing,
    }
}

fn posts(step: &Step, recipient: &Recipient) -> bool {
    matches!(step, Step::Post(_)) && step.is_for(recipient)
}

/// Returns what every card of the request shows once it is up to date.
fn wanted(facts: RecipientFacts<'_>, record: &Record) -> Shown {
    match facts.observed {
        Observed::Request(request) => Shown::of(request),
        Observed::Gone(_) => Shown::new(record.resolution.unwrap_or(Stage::Expired), record.reviews),
    }
}

fn state(facts: RecipientFacts<'_>, record: &Record, card: &Posted) -> CardState {
    let (shown, wanted) = (record.shown(card), wanted(facts, record));
    let is_final = matches!(facts.observed, Observed::Gone(_)) && shown.stage.is_resolved();
    let freshness = if card.activity.is_empty() {
        Freshness::Fixed
    } else if shown.satisfies(wanted) || is_final || !changes(facts, card.recipient.audience).updates {
        Freshness::Current
    } else if shown.is_ahead_of(wanted) {
        Freshness::Ahead
    } else {
        Freshness::Stale
    };
    CardState {
        posted: card.posted.clone(),
        shown,
        freshness,
        is_digest: card.digest,
        is_replacement: card.replacement,
    }
}

/// Returns what an audience gets in the current state of the request.
fn changes(facts: RecipientFacts<'_>, audience: Audience) -> Due {
    match facts.observed {
        Observed::Request(request) => due(audience, request.stage, request.is_over(facts.now)),
        Observed::Gone(_) => Due {
            posts: false,
            updates: audience != Audience::Decision,
        },
    }
}

fn refusal(facts: RecipientFacts<'_>, recipient: &Recipient) -> Option<(Refusal, Retry)> {
    let record = facts.record?;
    let refusal = record.refusals.get(recipient)?;
    let wanted = wanted(facts, record);
    let mut cards = record.cards.iter().filter(|card| card.recipient == *recipient);
    let gets = changes(facts, recipient.audience);
    let is_needed = match cards.next() {
        None => gets.posts,
        Some(first) => {
            let is_stale = |card: &Posted| !record.shown(card).satisfies(wanted);
            gets.updates && (is_stale(first) || cards.any(is_stale))
        }
    };
    let retry = match refusal.retry_at(wanted, facts.refusal_pauses) {
        _ if !is_needed => Retry::NotNeeded,
        None => Retry::Never,
        Some(at) if at <= facts.now || refusal.since > facts.now => Retry::Now,
        Some(at) => Retry::At(at),
    };
    Some((refusal.clone(), retry))
}
