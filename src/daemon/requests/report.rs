//! Counts and logs what becomes of the deliveries of one run.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::daemon::context::Context;
use crate::daemon::requests::claiming::TOO_LARGE;
use crate::daemon::requests::delivery::{Deferral, Refused, shown_as};
use crate::daemon::requests::waiting::Waiting;
use crate::domain::lifecycle::{Audience, Change, Outcome, Shown};
use crate::domain::request::RequestId;
use crate::telemetry::Delivery;
use crate::teleport::Error;

/// What was done since the last line about it.
pub(super) struct Report<'a> {
    context: &'a Context,
    id: &'a RequestId,
    posted: usize,
    updated: usize,
    refused: usize,
    deferred: usize,
    /// It was logged that the record cannot be written.
    warned: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(context: &'a Context, id: &'a RequestId) -> Self {
        Self {
            context,
            id,
            posted: 0,
            updated: 0,
            refused: 0,
            deferred: 0,
            warned: false,
        }
    }

    /// Takes deliveries that Microsoft accepted; `waiting` is since when people wait for them.
    pub(super) fn delivered(&mut self, outcomes: &[Outcome], waiting: Option<Waiting>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Posted {
                    recipient, replacement, ..
                } => {
                    self.posted += 1;
                    self.context.metrics.delivered(recipient.audience, Delivery::Posted);
                    if !replacement {
                        self.accepted(recipient.audience, Change::Announcement, waiting);
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

    /// Takes a delivery that Microsoft refused or did not confirm; it is retried after the pause, if at all. `source` is why it
    /// is a recipient; `news` says that it failed for another reason before, or not at all.
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
            (true, Some(_)) => "Microsoft did not confirm a card, it may have been posted",
            (true, None) => "Microsoft did not confirm a card, it is not posted again",
            (false, Some(_)) => "Recipient cannot be told",
            (false, None) => "Giving up on a card",
        };
        let is_warning = news || refused.unconfirmed || retry_in.is_none();
        let retry_in = retry_in.map(readable);
        if is_warning {
            warn!(request.id = %self.id, recipient, source, error, hint, retry_in, "{what}");
        } else {
            debug!(request.id = %self.id, recipient, source, error, hint, retry_in, "{what}");
        }
    }

    /// Takes a delivery that is retried after the pause. `first` says that it is its first failure in a row.
    pub(super) fn deferred(&mut self, deferral: &Deferral, retry_in: Duration, first: bool, source: Option<&str>) {
        self.deferred += 1;
        let audience = deferral.recipient.audience;
        self.context.metrics.delivered(audience, Delivery::Deferred);
        let (recipient, retry_in) = (shown_as(&deferral.recipient.name), readable(retry_in));
        let Some(error) = &deferral.error else {
            debug!(request.id = %self.id, recipient, retry_in, "A card seems to be deleted, checking again");
            return;
        };
        let hint = error.hint();
        if first && self.context.outages.microsoft_example(error) {
            warn!(request.id = %self.id, recipient, source, %error, hint, retry_in, "Delivery failed for now");
        } else {
            debug!(request.id = %self.id, recipient, source, %error, hint, retry_in, "Delivery failed for now");
        }
    }

    /// Takes that the record could not be written; it is retried until Teleport answers, because what was delivered must not
    /// be forgotten.
    pub(super) fn not_recorded(&mut self, error: &Error) {
        self.context.outages.teleport_failed(error);
        let hint = error.hint();
        let what = "Delivered cards could not be noted yet; trying until they are";
        if !self.warned && self.context.outages.teleport_example(error) {
            warn!(request.id = %self.id, %error, hint, "{what}");
        } else {
            debug!(request.id = %self.id, %error, hint, "{what}");
        }
        self.warned = true;
    }

    /// Takes that Teleport refused the record for its size.
    pub(super) fn too_large(&self, smaller: bool) {
        if smaller {
            warn!(request.id = %self.id, "{TOO_LARGE}");
        } else {
            let hint = "another plugin may have filled the plugin data of this request";
            warn!(request.id = %self.id, hint, "Plugin data of the access request are full, its cards are not recorded");
        }
    }

    /// Logs one line for what changed in what people see.
    pub(super) fn tell(&mut self, shown: Shown) {
        let (id, stage, reviews) = (self.id, shown.stage, shown.reviews);
        let Self {
            posted,
            updated,
            refused,
            deferred: waiting,
            ..
        } = *self;
        if posted > 0 && stage.is_open() {
            info!(request.id = %id, posted, updated, refused, waiting, "Access request {id} announced");
        } else if posted + updated > 0 {
            info!(
                request.id = %id, request.stage = %stage, reviews, updated, refused, waiting,
                "Cards of access request {id} show {stage}"
            );
        }
        (self.posted, self.updated, self.refused, self.deferred) = (0, 0, 0, 0);
    }
}

/// Writes a pause as a person reads it.
fn readable(pause: Duration) -> String {
    let rounded = match pause.as_millis() {
        ..1_000 => Duration::from_millis(pause.as_millis().try_into().unwrap_or_default()),
        _ => Duration::from_secs(pause.as_secs()),
    };
    format!("{:#}", SignedDuration::try_from(rounded).unwrap_or(SignedDuration::MAX))
}
