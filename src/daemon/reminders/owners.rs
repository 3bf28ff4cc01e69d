//! Reminds each owner of all their Access Lists that are due, in one message.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::courier::{Courier, Placed, Undelivered};
use crate::daemon::people::address_of;
use crate::daemon::reminders::access_lists::is_about_one;
use crate::domain::card::{DueList, access_lists};
use crate::domain::recipients::Address;
use crate::domain::reminders::{OpenReview, ReviewedList, Turn};
use crate::msteams::{Activity, Priority};
use crate::telemetry::Reminder;
use crate::teleport::{Error, Meaning, PluginDataKey, Swap, shortened};

/// Attempts to find a conversation, and to send a message, the first included.
const ATTEMPTS: usize = 8;

/// Attempts to record a reminder against other writers.
const SWAPS: usize = 5;

/// The number of owners that are remembered as reported.
const MOST_REPORTED: usize = 10_000;

/// Stands for all owners in what was reported; no owner has this name.
const EVERY_OWNER: &str = "";

/// The owners whose failures were logged, so that each round does not log them again.
#[derive(Debug, Default)]
pub(super) struct Reported(Mutex<HashSet<String>>);

/// The owners of one round.
pub(super) struct Owners<'a> {
    context: &'a Context,
    reported: &'a Reported,
    reviews: Vec<tokio::sync::Mutex<OpenReview>>,
    priority: Priority,
    /// A failure of Teleport, which ends the round.
    failure: OnceLock<Error>,
}

/// The attempts to call Microsoft for one owner.
struct Attempts<'a> {
    context: &'a Context,
    left: usize,
    pauses: Backoff,
}

impl Reported {
    /// Returns whether a failure of this owner was not logged before.
    fn is_new(&self, owner: &str) -> bool {
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reported.len() < MOST_REPORTED && reported.insert(owner.to_owned())
    }

    fn works(&self, owner: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(owner);
    }
}

impl<'a> Owners<'a> {
    pub(super) fn new(context: &'a Context, reported: &'a Reported, reviews: Vec<OpenReview>) -> Self {
        Self {
            context,
            reported,
            reviews: reviews.into_iter().map(tokio::sync::Mutex::new).collect(),
            priority: Priority::background(),
            failure: OnceLock::new(),
        }
    }

    /// Returns the failure of Teleport that ended the round, if there was one.
    pub(super) fn into_result(self) -> Result<(), Error> {
        self.failure.into_inner().map_or(Ok(()), Err)
    }

    /// Reminds one owner of the lists at these places.
    pub(super) async fn remind(&self, owner: String, places: Vec<usize>) {
        let live = self.context.live.current();
        if self.failure.get().is_some() || self.context.stopping.is_cancelled() || !live.notify.access_lists {
            return;
        }
        let Some((address, conversation)) = self.find(&owner, &live.review.user_id_trait).await else {
            return;
        };
        // The record comes first: a crash may lose a reminder, and must not repeat it.
        let lists = self.record(&owner, &places).await;
        if lists.is_empty() {
            return;
        }
        let activity = self.draw(&lists, live.notify.attention.alert);
        let (owner, lists) = (shortened(&owner), lists.len());
        // What is recorded is sent, even if the daemon stops.
        let halt = CancellationToken::new();
        let courier = Courier::new(&self.context.teams, &self.priority, &halt);
        let mut attempts = Attempts::new(self.context);
        let sent = loop {
            match courier.post(&address, conversation.clone(), &activity).await {
                Err(failed) => {
                    if let Err(failed) = attempts.next(failed).await {
                        break Err(failed);
                    }
                }
                sent => break sent,
            }
        };
        match sent {
            Ok(Placed { .. }) | Err(Undelivered::Nameless(..)) => {
                self.context.metrics.reminded(Reminder::AccessList, true);
                info!(owner, lists, "Owner reminded of Access Lists");
            }
            Err(undelivered) => {
                self.context.metrics.reminded(Reminder::AccessList, false);
                let is_unconfirmed = matches!(undelivered, Undelivered::Unconfirmed(_));
                let error = undelivered.into_error();
                let hint = error.as_ref().and_then(|error| error.hint());
                let error = error.as_ref().map(tracing::field::display);
                if is_unconfirmed {
                    warn!(
                        owner,
                        lists,
                        error,
                        hint,
                        "Microsoft did not confirm a reminder of Access Lists; it may have been posted"
                    );
                } else {
                    warn!(
                        owner,
                        lists,
                        error,
                        hint,
                        "Could not send a reminder of Access Lists; the next one follows in a day or a week"
                    );
                }
            }
        }
    }

    /// Finds the owner and the conversation. An owner that cannot be found is skipped until the next round.
    async fn find(&self, owner: &str, user_id_trait: &str) -> Option<(Address, String)> {
        let address = match address_of(&self.context.lookups, owner, user_id_trait).await {
            Ok(Some(address)) => address,
            Ok(None) => {
                let hint = hint_with!(
                    "Set the trait {user_id_trait} of the owner's Teleport user to the object ID in Entra ID"
                );
                let is_new = self.reported.is_new(owner);
                self.skip(
                    owner,
                    "the user has no object ID and no email address",
                    Some(&hint),
                    is_new,
                );
                return None;
            }
            Err(error) if is_about_one(&error) || matches!(error.meaning(), Meaning::Denied | Meaning::Unsupported) => {
                let is_for_all = error.meaning() == Meaning::Denied;
                let is_new = self.reported.is_new(if is_for_all { EVERY_OWNER } else { owner });
                self.skip(owner, &error.to_string(), error.hint(), is_new);
                return None;
            }
            Err(error) => {
                self.fail(error);
                return None;
            }
        };
        let courier = Courier::new(&self.context.teams, &self.priority, &self.context.stopping);
        let mut attempts = Attempts::new(self.context);
        loop {
            let failed = match courier.find(&address).await {
                Ok(conversation) => {
                    self.reported.works(owner);
                    return Some((address, conversation));
                }
                Err(failed) => failed,
            };
            if let Err(failed) = attempts.next(failed).await {
                if let Some(error) = failed.into_error() {
                    // An outage has its own lines.
                    let is_new = self.context.outages.microsoft_example(&error) && self.reported.is_new(owner);
                    self.skip(owner, &error.to_string(), error.hint(), is_new);
                }
                return None;
            }
        }
    }

    fn skip(&self, owner: &str, error: &str, hint: Option<&str>, is_new: bool) {
        self.context.metrics.reminded(Reminder::AccessList, false);
        let owner = shortened(owner);
        warn_if!(is_new, owner, error, hint, "Cannot remind owner of Access Lists");
    }

    fn fail(&self, error: Error) {
        // The first failure explains the others.
        let _ = self.failure.set(error);
    }

    /// Records a reminder in each list, and returns the lists of which this replica is to remind the owner.
    async fn record(&self, owner: &str, places: &[usize]) -> Vec<ReviewedList> {
        let mut recorded = Vec::new();
        for review in places.iter().filter_map(|place| self.reviews.get(*place)) {
            let mut review = review.lock().await;
            match self.record_one(owner, &mut review).await {
                Ok(true) => recorded.push(review.list.clone()),
                // Another replica has begun to remind this owner.
                Ok(false) if review.turn(owner, clock::now()) != Turn::Due => break,
                Ok(false) => {}
                Err(error) if is_about_one(&error) => {
                    debug!(list = review.list.name, %error, "Could not record a reminder, skipping the list");
                }
                Err(error) => {
                    self.fail(error);
                    break;
                }
            }
        }
        recorded
    }

    async fn record_one(&self, owner: &str, review: &mut OpenReview) -> Result<bool, Error> {
        let client = &self.context.client;
        let key = PluginDataKey::access_list(&review.list.name);
        for _ in 0..SWAPS {
            let now = clock::now();
            if review.turn(owner, now) != Turn::Due {
                return Ok(false);
            }
            let write = review.remind(owner, now);
            match client
                .swap_plugin_data(&key, write.expect.clone(), write.set.clone())
                .await?
            {
                Swap::Written => {
                    review.written(&write, now);
                    return Ok(true);
                }
                Swap::Lost => review.read(&client.plugin_data(&key).await?, now),
                Swap::Gone => return Ok(false),
                Swap::TooLarge => {
                    warn!(
                        list = key.name,
                        "Plugin data of an Access List is full; its owners are not reminded"
                    );
                    return Ok(false);
                }
            }
        }
        debug!(
            list = key.name,
            "Lost every attempt to record a reminder, skipping the list"
        );
        Ok(false)
    }

    fn draw(&self, lists: &[ReviewedList], alert: bool) -> Activity {
        let lists: Vec<_> = lists
            .iter()
            .map(|list| DueList {
                name: &list.name,
                title: &list.title,
                due: list.due,
                members: list.members,
            })
            .collect();
        let message = access_lists(&self.context.cluster, &lists, clock::now());
        Activity::new(&message.card, &message.summary, alert)
    }
}

impl<'a> Attempts<'a> {
    fn new(context: &'a Context) -> Self {
        let limits = &context.limits;
        Self {
            context,
            left: ATTEMPTS,
            pauses: Backoff::new(limits.again_first_pause, limits.again_longest_pause),
        }
    }

    /// Waits until the next attempt. A message that may have arrived is not repeated.
    ///
    /// # Errors
    /// Returns the failure of the last attempt if there is no other one.
    async fn next(&mut self, failed: Undelivered) -> Result<(), Undelivered> {
        let Undelivered::Later(error, requested) = failed else {
            return Err(failed);
        };
        self.left -= 1;
        if self.left == 0 || self.context.stopping.is_cancelled() {
            return Err(Undelivered::Later(error, requested));
        }
        let pause = self.pauses.pause().max(requested.unwrap_or_default());
        // A call during a longer pause waits for its end.
        let pause = pause.min(self.context.limits.again_longest_pause);
        debug!(%error, retry_in = clock::readable(pause), "Reminder of Access Lists failed, retrying");
        tokio::select! {
            () = self.context.stopping.cancelled() => {}
            () = sleep(pause) => {}
        }
        Ok(())
    }
}
