//! Counts and logs the outcomes of the deliveries of one run.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::clock::readable;
use crate::daemon::context::Context;
use crate::daemon::requests::claiming::{PLUGIN_DATA_FULL, TOO_LARGE};
use crate::daemon::requests::delivery::{Deferral, Refused, shown_as};
use crate::daemon::requests::waiting::Waiting;
use crate::domain::lifecycle::{Audience, Change, Outcome, Shown};
use crate::domain::request::RequestId;
use crate::telemetry::Delivery;
use crate::teleport::Error;

/// The outcomes since the last log line.
pub(super) struct Report<'a> {
    context: &'a Context,
    id: &'a RequestId,
    posted: usize,
    /// Of those, cards of an escalation.
    escalated: usize,
    updated: usize,
    refused: usize,
    deferred: usize,
    /// A failed write of the record has been logged.
    warned: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(context: &'a Context, id: &'a RequestId) -> Self {
        Self {
            context,
            id,
            posted: 0,
            escalated: 0,
            updated: 0,
            refused: 0,
            deferred: 0,
            warned: false,
        }
    }

    /// Counts deliveries that Microsoft accepted; `waiting` holds when each kind of change was first seen.
    pub(super) fn delivered(&mut self, outcomes: &[Outcome], waiting: Option<Waiting>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Posted {
                    recipient, replacement, ..
                } => {
                    self.posted += 1;
                    self.escalated += usize::from(recipient.audience == Audience::Escalation);
                    self.context.metrics.delivered(recipient.audience, Delivery::Posted);
                    // A card of an escalation is late on purpose.
                    if !replacement && recipient.audience != Audience::Escalation {
                        self.accepted(recipient.audience, Change::of_post(recipient.audience), waiting);
                    }
                }
                Outcome::Updated { recipient, shown, .. } => {
                    self.updated += 1;
                    self.context.metrics.delivered(recipient.audience, Delivery::Updated);
                    self.accepted(recipient.audience, Change::of_update(*shown), waiting);
                }
                Outcome::Unconfirmed { .. } | Outcome::Refused { .. } | Outcome::Vanished { .. } => {}
            }
        }
    }

    fn accepted(&self, audience: Audience, change: Change, waiting: Option<Waiting>) {
        if let Some(waiting) = waiting {
            let delay = waiting.delay(change, Instant::now());
            self.context.metrics.delivery_took(audience, change, delay);
        }
    }

    /// Logs a delivery that Microsoft refused or did not confirm, and that is retried after `retry_in`, if at all. `source` is
    /// where the recipient is configured; `news` is false if the same failure was logged before.
    pub(super) fn refused(&mut self, refused: &Refused, retry_in: Option<Duration>, source: Option<&str>, news: bool) {
        let (recipient, error) = (shown_as(&refused.recipient.name), &refused.why);
        let hint = refused.hint.as_deref();
        let (count, outcome) = if refused.unconfirmed {
            (&mut self.deferred, Delivery::Deferred)
        } else {
            (&mut self.refused, Delivery::Refused)
        };
        *count += 1;
        self.context.metrics.delivered(refused.recipient.audience, outcome);
        let what = match (refused.unconfirmed, retry_in) {
            (true, Some(_)) => "Microsoft did not confirm a card; it may have been posted",
            (true, None) => "Microsoft did not confirm a card; it is not posted again",
            (false, Some(_)) => "Cannot notify recipient",
            (false, None) => "Card can no longer be delivered",
        };
        let is_warning = news || refused.unconfirmed || retry_in.is_none();
        let retry_in = retry_in.map(readable);
        if !refused.recipient.audience.reviews() && !refused.unconfirmed {
            // Not every requester uses Microsoft Teams, and no reviewer waits for this card.
            if news {
                info!(request.id = %self.id, recipient, error, hint, "Cannot notify the requester");
            }
            return;
        }
        warn_if!(is_warning, request.id = %self.id, recipient, source, error, hint, retry_in, "{what}");
    }

    /// Logs a delivery that is retried after `retry_in`. `first` marks the first failure in a row.
    pub(super) fn deferred(&mut self, deferral: &Deferral, retry_in: Duration, first: bool, source: Option<&str>) {
        self.deferred += 1;
        let audience = deferral.recipient.audience;
        self.context.metrics.delivered(audience, Delivery::Deferred);
        let (recipient, retry_in) = (shown_as(&deferral.recipient.name), readable(retry_in));
        let Some(error) = &deferral.error else {
            debug!(request.id = %self.id, recipient, retry_in, "Card seems to be deleted, checking again");
            return;
        };
        let hint = error.hint();
        warn_if!(
            first && self.context.outages.microsoft_example(error),
            request.id = %self.id, recipient, source, %error, hint, retry_in,
            "Delivery failed, will retry"
        );
    }

    /// Logs that the record could not be written. The write is retried until Teleport answers, because a delivered card must not
    /// be forgotten.
    pub(super) fn not_recorded(&mut self, error: &Error) {
        self.context.outages.teleport_failed(error);
        let hint = error.hint();
        warn_if!(
            !self.warned && self.context.outages.teleport_example(error),
            request.id = %self.id, %error, hint,
            "Could not record delivered cards, retrying"
        );
        self.warned = true;
    }

    /// Logs that Teleport rejected the record because of its size.
    pub(super) fn too_large(&self, smaller: bool) {
        if smaller {
            warn!(request.id = %self.id, "{TOO_LARGE}");
        } else {
            let hint = PLUGIN_DATA_FULL;
            warn!(request.id = %self.id, hint, "Plugin data of the Access Request is full; its cards are not recorded");
        }
    }

    /// Logs one line for the cards that changed.
    pub(super) fn log(&mut self, shown: Shown) {
        let (id, stage, reviews) = (self.id, shown.stage, shown.reviews);
        let Self {
            posted,
            escalated,
            updated,
            refused,
            deferred,
            ..
        } = *self;
        if escalated > 0 && escalated == posted && stage.is_open() {
            info!(request.id = %id, posted, updated, refused, deferred, "Access Request escalated");
        } else if posted > 0 && stage.is_open() {
            info!(request.id = %id, posted, updated, refused, deferred, "Access Request announced");
        } else if posted + updated > 0 {
            info!(
                request.id = %id, request.stage = %stage, reviews, posted = (posted > 0).then_some(posted), updated, refused, deferred,
                "Cards updated"
            );
        }
        (self.posted, self.escalated, self.updated, self.refused, self.deferred) = (0, 0, 0, 0, 0);
    }
}
