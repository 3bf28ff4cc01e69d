//! Who may tell people now: one replica at a time for each request.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::daemon::context::Context;
use crate::daemon::memory::{Known, Memory, Stored};
use crate::domain::lifecycle::{Observed, Record};
use crate::domain::request::RequestId;
use crate::domain::rules::Route;
use crate::teleport::{Error, Swap};

/// How an attempt to claim ended.
#[derive(Debug)]
pub(super) enum Claimed {
    /// The request is ours until we say otherwise, or say nothing for a claim's term.
    Ours,
    /// Somebody else wrote first: look again.
    Lost,
    /// Teleport has neither the request nor data of it any more.
    Gone,
}

/// How long a claim is known to hold; posts are started only while it does.
#[derive(Debug)]
pub(super) struct Lease {
    /// The moment before the last write that Teleport accepted.
    since: Mutex<Option<Instant>>,
    term: Duration,
}

impl Lease {
    pub(super) fn new(since: Instant, term: Duration) -> Self {
        Self {
            since: Mutex::new(Some(since)),
            term,
        }
    }

    pub(super) fn renew(&self, since: Instant) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(since);
    }

    /// Somebody else took the claim over.
    pub(super) fn lose(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn holds(&self) -> bool {
        self.left().is_some()
    }

    /// Returns how long it holds still, unless it has ended.
    pub(super) fn left(&self) -> Option<Duration> {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.term.checked_sub(since?.elapsed())?;
        Some(left).filter(|left| !left.is_zero())
    }
}

/// Returns how long to wait for whoever seems to be telling people now, if anybody does.
pub(super) fn others_turn(context: &Context, memory: &mut Memory) -> Option<Duration> {
    let record = memory.record()?;
    let mark = match &record.claim {
        Some(claim) if claim.held && !context.is_ours(claim) => claim.to_string(),
        // The Go plugin leaves no mark; data without a message may mean that it is posting right now.
        None if record.cards.is_empty() => String::new(),
        Some(_) | None => return None,
    };
    let wait = memory.respect(&mark, context.limits.claim_term);
    Some(wait).filter(|wait| !wait.is_zero())
}

/// Writes our mark into the record, and begins the record if there is none.
pub(super) async fn claim(
    context: &Context,
    id: &RequestId,
    observed: &Observed,
    decided: Option<&Route>,
    memory: &mut Memory,
) -> Result<Claimed, Error> {
    let (expect, map, mut record) = match &memory.stored {
        Stored::Known(known) => (
            Record::expect_unchanged(&known.map),
            known.map.clone(),
            known.record.clone(),
        ),
        Stored::Absent | Stored::Unknown => (Record::expect_absent(), BTreeMap::new(), Record::default()),
    };
    if let Observed::Request(request) = observed {
        if map.is_empty() {
            record = Record::begin(request);
        }
        record.expires = request.expires;
    }
    // Decided once: rules that change do not reach a request that was announced.
    if let (Some(route), None) = (decided, &record.named) {
        record.named = Some(route.named().into_iter().map(str::to_owned).collect());
    }
    record.claim = Some(context.mark(true));
    let changes = Known::changes(&map, &record);
    match context.client.swap_plugin_data(id, expect, changes.clone()).await? {
        Swap::Written => {
            let mut known = Known {
                map,
                record: Record::default(),
            };
            known.written(changes, record);
            memory.stored = Stored::Known(Box::new(known));
            memory.foreign = None;
            Ok(Claimed::Ours)
        }
        Swap::Lost => {
            memory.stored = Stored::Unknown;
            Ok(Claimed::Lost)
        }
        Swap::Gone => Ok(Claimed::Gone),
    }
}
