//! Reminds the owners of Access Lists that are due for review, while `[notify] access_lists` is on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::backoff;
use crate::backoff::Backoff;
use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::reminders::owners::{Owners, Reported};
use crate::daemon::upkeep::InForce;
use crate::domain::reminders::{OpenReview, ReviewedList, bundles};
use crate::heartbeat::Heartbeat;
use crate::teleport::{Error, Meaning, PluginDataKey, Swap};

/// The number of due lists of one round.
const MOST_LISTS: usize = 10_000;

/// The number of lists whose owners are read, and of owners that are reminded, at the same time.
const CONCURRENCY: usize = 8;

/// Reminds owners until the daemon stops. An owner whose reminder is recorded still gets it then.
pub(in crate::daemon) async fn run(context: Arc<Context>, heartbeat: Heartbeat) {
    let job = Job {
        live: context.live.subscribe(),
        context,
        heartbeat,
        is_denied: false,
        reported: Reported::default(),
    };
    job.run().await;
}

struct Job {
    context: Arc<Context>,
    live: watch::Receiver<Arc<InForce>>,
    heartbeat: Heartbeat,
    /// A missing permission was logged.
    is_denied: bool,
    /// The owners whose failures were logged.
    reported: Reported,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Due,
    /// The settings have changed as expected.
    Changed,
    Stopping,
}

impl Job {
    async fn run(mut self) {
        loop {
            let is_on = |live: &Arc<InForce>| live.notify.access_lists;
            if self.wait(Duration::MAX, is_on).await == Wake::Stopping {
                return;
            }
            self.reported = Reported::default();
            self.keep().await;
        }
    }

    /// Checks the lists until the job is turned off, or the daemon stops, or Teleport turns out not to know Access Lists.
    async fn keep(&mut self) {
        let limits = &self.context.limits;
        let (first, every) = (limits.access_lists_first, limits.access_lists_every);
        let mut retries = Backoff::new(first, every);
        let mut pause = backoff::jittered(first);
        while self.wait(pause, |live| !live.notify.access_lists).await == Wake::Due {
            let heartbeat = self.heartbeat.clone();
            let result = heartbeat.while_waiting(self.round()).await;
            pause = match result {
                Ok(()) => {
                    if std::mem::take(&mut self.is_denied) {
                        info!("Owners of Access Lists are reminded again");
                    }
                    retries.reset();
                    backoff::jittered(every)
                }
                Err(error) if error.meaning() == Meaning::Unsupported => {
                    info!(%error, "Teleport does not know Access Lists; their owners are not reminded");
                    // A reload starts the job again.
                    self.wait_for_reload().await;
                    return;
                }
                Err(error) if error.meaning() == Meaning::Denied => {
                    let hint = error.hint();
                    warn_if!(
                        !std::mem::replace(&mut self.is_denied, true),
                        %error, hint,
                        "The role lacks a permission; owners of Access Lists are not reminded"
                    );
                    backoff::jittered(every)
                }
                Err(error) => {
                    self.context.outages.teleport_failed(&error);
                    let (pause, hint) = (retries.pause(), error.hint());
                    debug!(%error, hint, retry_in = clock::readable(pause), "Could not check the Access Lists, retrying");
                    pause
                }
            };
        }
    }

    /// Waits until the time is up, or the settings fulfil a condition, or the daemon stops.
    async fn wait(&mut self, pause: Duration, condition: impl FnMut(&Arc<InForce>) -> bool) -> Wake {
        let waiting = async {
            tokio::select! {
                biased;
                () = self.context.stopping.cancelled() => Wake::Stopping,
                // The sender lives as long as the context.
                _ = self.live.wait_for(condition) => Wake::Changed,
                () = sleep(pause) => Wake::Due,
            }
        };
        self.heartbeat.while_waiting(waiting).await
    }

    async fn wait_for_reload(&mut self) {
        let waiting = async {
            tokio::select! {
                () = self.context.stopping.cancelled() => {}
                _ = self.live.changed() => {}
            }
        };
        self.heartbeat.while_waiting(waiting).await;
    }

    /// Checks all lists once, and reminds the owners that are due.
    async fn round(&self) -> Result<(), Error> {
        let (context, now) = (&self.context, clock::now());
        let (mut due, mut left_out) = (Vec::new(), 0_usize);
        let is_due = |list: &ReviewedList| list.window(now).is_some();
        let take = |list: ReviewedList| match due.len() {
            _ if !is_due(&list) => {}
            MOST_LISTS => left_out += 1,
            _ => due.push(list),
        };
        let listed = context.client.access_lists(take).await?;
        context.outages.teleport_works();
        if left_out > 0 {
            warn!(
                left_out,
                limit = MOST_LISTS,
                "Too many Access Lists are due for review; the last ones are skipped"
            );
        }
        // Every replica takes the lists of an owner in this order, so that only one of them wins the first.
        due.sort_by(|one, other| one.name.cmp(&other.name));
        let mut opening = stream::iter(due).map(|list| self.open(list, now)).buffered(CONCURRENCY);
        let mut reviews = Vec::new();
        while let Some(review) = opening.next().await {
            reviews.extend(review?);
        }
        drop(opening);
        let bundles = bundles(&reviews, now);
        debug!(
            lists = listed,
            due = reviews.len(),
            owners = bundles.len(),
            "Access Lists checked"
        );
        let owners = Owners::new(context, &self.reported, reviews);
        let reminding = stream::iter(bundles).map(|(owner, places)| owners.remind(owner, places));
        reminding.buffer_unordered(CONCURRENCY).count().await;
        owners.into_result()
    }

    /// Reads the owners of a list and when they were last reminded; `None` if the list is skipped in this round.
    async fn open(&self, list: ReviewedList, now: Timestamp) -> Result<Option<OpenReview>, Error> {
        let client = &self.context.client;
        let name = list.name.clone();
        let key = PluginDataKey::access_list(&name);
        let read = async {
            let owners = client.access_list_owners(&list).await?;
            Ok((owners, client.plugin_data(&key).await?))
        };
        let (owners, data) = match read.await {
            Ok(read) => read,
            Err(error) if is_about_one(&error) => {
                debug!(list = name, %error, "Could not read an Access List, skipping it");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(mut review) = OpenReview::new(list, owners, &data, now) else {
            return Ok(None);
        };
        let Some(write) = review.repair() else {
            return Ok(Some(review));
        };
        match client
            .swap_plugin_data(&key, write.expect.clone(), write.set.clone())
            .await?
        {
            Swap::Written => {
                warn!(
                    list = name,
                    "Recorded reminders of an Access List are in the future or cannot be decoded; they count as sent now"
                );
                review.written(&write, now);
                Ok(Some(review))
            }
            Swap::Lost | Swap::Gone | Swap::TooLarge => Ok(None),
        }
    }
}

/// Returns whether a failure concerns one list or one owner only.
pub(super) fn is_about_one(error: &Error) -> bool {
    match error.meaning() {
        Meaning::NotFound | Meaning::Undecodable | Meaning::Invalid | Meaning::Protocol | Meaning::Conflict => true,
        Meaning::Denied
        | Meaning::Caller
        | Meaning::Unsupported
        | Meaning::Credentials
        | Meaning::Unreachable
        | Meaning::Exhausted => false,
    }
}
