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
use crate::domain::lifecycle::{Account, Entry, Outcome, Record, Stored};
use crate::domain::request::RequestId;
use crate::teleport::{Error, Swap};

/// The record of one request while its cards are delivered.
pub(super) struct Ledger<'a> {
    context: &'a Context,
    id: &'a RequestId,
    lease: &'a Lease,
    account: Account,
    /// Teleport has forgotten the request; there is nothing to write to any more.
    forgotten: bool,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(
        context: &'a Context,
        id: &'a RequestId,
        lease: &'a Lease,
        account: Account,
        forgotten: bool,
    ) -> Self {
        Self {
            context,
            id,
            lease,
            account,
            forgotten,
        }
    }

    /// Returns what a lane may remember.
    pub(super) fn into_stored(self) -> Stored {
        Stored::Known(Box::new(self.account.into_known()))
    }

    /// Tells whether somebody else updated a card that we updated too.
    pub(super) fn is_contested(&self) -> bool {
        self.account.is_contested()
    }

    pub(super) fn record(&self) -> &Record {
        self.account.record()
    }

    /// Writes new outcomes and our mark. Never gives up while Teleport does not answer: what was delivered must not be
    /// forgotten, and only the end of the process ends the wait.
    pub(super) async fn write(&mut self, outcomes: Vec<Outcome>, entry: Entry) {
        let limits = &self.context.limits;
        let mut backoff = Backoff::new(limits.teleport_first_pause, limits.teleport_longest_pause);
        let mut warned = false;
        let mut record = self.account.note(outcomes, clock::now());
        loop {
            let Some(write) = self.account.entry(record.clone(), entry, self.context.mark()) else {
                return;
            };
            if self.forgotten {
                self.account.keep(write.record);
                return;
            }
            let begun = Instant::now();
            let swap = self
                .context
                .client
                .swap_plugin_data(self.id, write.expect.clone(), write.set.clone());
            match swap.await {
                Ok(Swap::Written) => {
                    self.context.troubles.teleport_works();
                    self.account.written(write);
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
        let (record, ours) = self.account.take_over(map, self.context.replica(), clock::now());
        if !ours {
            self.lease.lose();
        }
        Ok(record)
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
