//! Who may tell people now: one replica at a time for each request.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::daemon::context::Context;
use crate::daemon::memory::Memory;
use crate::domain::lifecycle;
use crate::domain::lifecycle::{Claim, Foreign, Observed};
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

/// How long our claim is known to hold, shared by all deliveries of a run.
#[derive(Debug)]
pub(super) struct Lease {
    lease: Mutex<lifecycle::Lease<Instant>>,
    term: Duration,
}

impl Lease {
    pub(super) fn new(since: Instant, term: Duration) -> Self {
        Self {
            lease: Mutex::new(lifecycle::Lease::new(since)),
            term,
        }
    }

    pub(super) fn renew(&self, since: Instant) {
        self.lease().renew(since);
    }

    /// Somebody else took the claim over.
    pub(super) fn lose(&self) {
        self.lease().lose();
    }

    pub(super) fn holds(&self) -> bool {
        self.left().is_some()
    }

    /// Returns how long it holds still, unless it has ended.
    pub(super) fn left(&self) -> Option<Duration> {
        self.lease().left(Instant::now(), self.term)
    }

    fn lease(&self) -> MutexGuard<'_, lifecycle::Lease<Instant>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how long to wait for whoever seems to be telling people now, if anybody does.
pub(super) fn others_turn(context: &Context, memory: &mut Memory) -> Option<Duration> {
    let mark = Claim::of_others(memory.record()?, context.replica())?;
    let wait = memory.foreign.wait(&mark, Instant::now(), context.limits.claim_term);
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
    let named = decided.map(Route::named);
    let write = memory.stored.claim(observed, named.as_deref(), context.mark());
    let swap = context
        .client
        .swap_plugin_data(id, write.expect.clone(), write.set.clone());
    match swap.await? {
        Swap::Written => {
            memory.stored.claimed(write);
            memory.foreign = Foreign::none();
            Ok(Claimed::Ours)
        }
        Swap::Lost => {
            memory.stored.doubt();
            Ok(Claimed::Lost)
        }
        Swap::Gone => Ok(Claimed::Gone),
    }
}
