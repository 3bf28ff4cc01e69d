//! Writes down what was done, as it happens.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;
use tracing::debug;
use tracing::warn;

use crate::backoff::Backoff;
use crate::clock;
use crate::daemon::claiming::Lease;
use crate::daemon::context::Context;
use crate::daemon::memory::{Known, Stored};
use crate::domain::lifecycle::{Outcome, Record, Shown};
use crate::domain::request::RequestId;
use crate::teleport::{Error, Swap};

/// The record of one request while its cards are delivered.
pub(super) struct Ledger<'a> {
    context: &'a Context,
    id: &'a RequestId,
    shown: Shown,
    resolve_reason: &'a str,
    lease: &'a Lease,
    known: Known,
    /// Everything done since the claim, in case somebody else's record must be taken over.
    done: Vec<Outcome>,
    /// Teleport has forgotten the request; there is nothing to write to any more.
    forgotten: bool,
}

/// What a write of the ledger is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// More is to come: the claim is kept.
    Interim,
    /// The last one; `complete` says that every card shows what it should.
    Last { complete: bool },
}

impl<'a> Ledger<'a> {
    pub(super) fn new(
        context: &'a Context,
        id: &'a RequestId,
        shown: Shown,
        resolve_reason: &'a str,
        lease: &'a Lease,
        known: Known,
        forgotten: bool,
    ) -> Self {
        Self {
            context,
            id,
            shown,
            resolve_reason,
            lease,
            known,
            done: Vec::new(),
            forgotten,
        }
    }

    /// Returns what a lane may remember.
    pub(super) fn into_stored(self) -> Stored {
        Stored::Known(Box::new(self.known))
    }

    pub(super) fn record(&self) -> &Record {
        &self.known.record
    }

    /// Writes new outcomes and our mark. Never gives up while Teleport does not answer: what was delivered must not be
    /// forgotten, and only the end of the process ends the wait.
    pub(super) async fn write(&mut self, outcomes: Vec<Outcome>, entry: Entry) {
        let limits = &self.context.limits;
        let mut backoff = Backoff::new(limits.teleport_first_pause, limits.teleport_longest_pause);
        let mut warned = false;
        let mut record = self.known.record.clone();
        self.note(&mut record, &outcomes);
        self.done.extend(outcomes);
        loop {
            self.finish(&mut record, entry);
            if self.forgotten {
                self.known.record = record;
                return;
            }
            let begun = Instant::now();
            let changes = Known::changes(&self.known.map, &record);
            let expect = Record::expect_unchanged(&self.known.map);
            match self
                .context
                .client
                .swap_plugin_data(self.id, expect, changes.clone())
                .await
            {
                Ok(Swap::Written) => {
                    self.context.troubles.teleport_works();
                    self.known.written(changes, record);
                    self.lease.renew(begun);
                    return;
                }
                Ok(Swap::Gone) => self.forgotten = true,
                Ok(Swap::Lost) => match self.take_over().await {
                    Ok(current) => record = current,
                    Err(error) => self.pause(&error, &mut warned, backoff.pause()).await,
                },
                Err(error) => self.pause(&error, &mut warned, backoff.pause()).await,
            }
        }
    }

    /// Reads the record that somebody else wrote, and adds to it what we did.
    async fn take_over(&mut self) -> Result<Record, Error> {
        let map = self.context.client.plugin_data(self.id).await?;
        // If everything is gone, what we know is written anew.
        let mut record = Record::decode(&map).unwrap_or_else(|| self.known.record.clone());
        if !record.claim.as_ref().is_some_and(|claim| self.context.is_ours(claim)) {
            self.lease.lose();
        }
        let new = self.done.iter().filter(|outcome| match outcome {
            Outcome::Posted { activity, .. } => !record.cards.iter().any(|card| card.activity == *activity),
            Outcome::Updated { .. } | Outcome::Vanished { .. } | Outcome::Refused { .. } => true,
        });
        let new: Vec<_> = new.cloned().collect();
        self.note(&mut record, &new);
        self.known = Known {
            record: record.clone(),
            map,
        };
        Ok(record)
    }

    fn note(&self, record: &mut Record, outcomes: &[Outcome]) {
        let now = clock::now();
        for outcome in outcomes {
            record.note(outcome.clone(), self.shown, now);
        }
    }

    /// Sets the mark, unless somebody else's stands there now.
    fn finish(&self, record: &mut Record, entry: Entry) {
        let taken_over = record
            .claim
            .as_ref()
            .is_some_and(|claim| claim.held && !self.context.is_ours(claim));
        if taken_over {
            return;
        }
        match entry {
            Entry::Interim => record.claim = Some(self.context.mark(true)),
            Entry::Last { complete } => {
                record.claim = Some(self.context.mark(false));
                if complete {
                    record.conclude(self.shown, self.resolve_reason);
                }
            }
        }
    }

    async fn pause(&self, error: &Error, warned: &mut bool, pause: Duration) {
        self.context.troubles.teleport_failed(error);
        if !*warned && self.context.troubles.teleport_example() {
            let hint = error.hint();
            warn!(request.id = %self.id, %error, hint, "Delivered cards could not be noted yet; trying until they are");
        } else {
            debug!(request.id = %self.id, %error, "Delivered cards could not be noted yet");
        }
        *warned = true;
        sleep(pause).await;
    }
}
