//! Delivers the cards that several requests share.
//!
//! A shared card has one update in flight. A delivery whose change is already in a newer drawing makes no call, so a burst of
//! changes costs few updates, and a resolution overtakes queued ones.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::backoff::Backoff;
use crate::daemon::context::Context;
use crate::daemon::courier::{Courier, Placed, Undelivered};
use crate::daemon::outages::Services;
use crate::daemon::requests::delivery::{Deferral, Done, Round, urgency};
use crate::daemon::requests::digest_table::{DigestId, Failure};
use crate::daemon::requests::digests::{Admitted, Call, Draft, Task, Ticket};
use crate::daemon::tasks::Tasks;
use crate::domain::lifecycle::{Change, Outcome, Posted, Recipient, Target};
use crate::heartbeat::Heartbeat;
use crate::msteams::{Activity, Priority};
use crate::teleport::{Meaning, PluginDataKind};

/// Attempts to join shared cards that turn out to be deleted, before a request gets its own card.
const MOST_JOINS: usize = 3;

/// The number of times that a delivery draws a card again because of changes that no other delivery shows.
const MOST_REDRAWINGS: usize = 3;

/// The number of times that a card which is behind is drawn while that fails. The next listing or recovery tries again.
const MOST_CATCHING_UP: usize = 5;

/// The time after a failed read of all records in which no update of a card reads them again.
const READ_PAUSE: Duration = Duration::from_mins(1);

/// Why a shared card does not show a change.
enum Unshown {
    /// The card was never posted.
    Closed,
    Undelivered(Undelivered),
}

/// How a shared card is delivered.
#[derive(Clone, Copy)]
struct Delivering<'a> {
    context: &'a Context,
    /// The request or card whose turn in the queue it is.
    queue: &'a str,
    /// A new card alerts its recipients.
    alert: bool,
    halt: &'a CancellationToken,
}

impl Round<'_> {
    /// Posts a request: on a shared card if its conversation got many cards lately, and otherwise on its own card.
    pub(super) async fn post_in(&self, target: &Target, conversation: String, priority: &Priority) -> Done {
        for _ in 0..MOST_JOINS {
            let digest = self.sheet.digest().filter(|_| target.audience.reviews());
            let Some(settings) = digest else {
                break;
            };
            let (line, urgency) = (self.sheet.line(), urgency(Change::Announcement));
            let (recipient, digests) = (target.address.as_str(), &self.context.digests);
            match digests.admit(&conversation, recipient, settings.above, line, urgency) {
                Admitted::Alone(slot) => {
                    let done = self.post_alone(target, conversation, priority).await;
                    if done.may_exist() {
                        slot.keep();
                    }
                    return done;
                }
                Admitted::Shared(mut ticket) => {
                    if let Some(done) = self.join(target, &mut ticket).await {
                        return done;
                    }
                }
            }
        }
        self.post_alone(target, conversation, priority).await
    }

    /// Adds the request to a shared card; `None` if that card cannot be used any more.
    async fn join(&self, target: &Target, ticket: &mut Ticket<'_>) -> Option<Done> {
        let delivering = Delivering {
            context: self.context,
            queue: self.id.as_str(),
            alert: self.sheet.attention().alert,
            halt: &self.halt,
        };
        let shown = match delivering.show(ticket).await {
            Ok(placed) => Ok(placed),
            Err(unshown) => {
                ticket.leave(self.id);
                match unshown {
                    Unshown::Closed | Unshown::Undelivered(Undelivered::Gone(..)) => return None,
                    Unshown::Undelivered(undelivered) => Err(undelivered),
                }
            }
        };
        Some(self.posted(&target.recipient(), shown, false, true))
    }

    /// Updates the line of the request on a shared card. `missing` is true if the last update found no message.
    pub(super) async fn update_shared(
        &self,
        card: &Posted,
        conversation: String,
        priority: &Priority,
        missing: bool,
    ) -> Done {
        let digests = &self.context.digests;
        let (place, urgency) = (
            (conversation, card.activity.clone()),
            urgency(Change::of_update(self.shown)),
        );
        let mut ticket = digests.change(place, &card.recipient.name, self.sheet.line(), urgency);
        if !digests.is_complete(ticket.digest()) {
            read_members(self.context, ticket.digest(), &self.halt).await;
        }
        let delivering = Delivering {
            context: self.context,
            queue: self.id.as_str(),
            alert: false,
            halt: &self.halt,
        };
        match delivering.show(&mut ticket).await {
            Ok(Placed { conversation, .. }) => Done::Recorded(vec![Outcome::Updated {
                recipient: card.recipient.clone(),
                activity: card.activity.clone(),
                conversation,
                shown: self.shown,
            }]),
            Err(Unshown::Undelivered(Undelivered::Gone(error, conversation))) if missing => {
                ticket.leave(self.id);
                let activity = self.draw(&card.recipient, Vec::new(), false);
                self.replace(self.courier(priority), card, conversation, &activity, &error)
                    .await
            }
            // Microsoft may be behind; a card is given up only if it is missing twice.
            Err(Unshown::Undelivered(Undelivered::Gone(..)) | Unshown::Closed) => Done::Deferred(Deferral {
                recipient: card.recipient.clone(),
                error: None,
                asked: None,
            }),
            Err(Unshown::Undelivered(undelivered)) => self.failed(&card.recipient, undelivered),
        }
    }

    /// Counts a card that replaces a deleted one.
    pub(super) fn count_replacement(&self, recipient: &Recipient, conversation: &str) {
        if let Some(settings) = self.sheet.digest().filter(|_| recipient.audience.reviews()) {
            self.context.digests.count(conversation, settings.above);
        }
    }
}

impl Delivering<'_> {
    /// Delivers a shared card unless it shows the change of the ticket already.
    async fn show(self, ticket: &mut Ticket<'_>) -> Result<Placed, Unshown> {
        let mut shown = None;
        for _ in 0..=MOST_REDRAWINGS {
            match self.attempt(ticket).await {
                Ok((placed, is_behind)) => shown = Some((placed, is_behind)),
                // The change of the ticket is shown. The card is behind, and is drawn again as such.
                Err(unshown) if shown.is_none() => return Err(unshown),
                Err(_) => break,
            }
            if !shown.as_ref().is_some_and(|(_, is_behind)| *is_behind) {
                break;
            }
        }
        shown.map(|(placed, _)| placed).ok_or(Unshown::Closed)
    }

    /// Delivers a shared card. Also returns whether it must be drawn again.
    async fn attempt(self, ticket: &mut Ticket<'_>) -> Result<(Placed, bool), Unshown> {
        loop {
            let turn = ticket.turn();
            // The card may show the change already, even if the delivery is halted.
            let _turn = tokio::select! {
                biased;
                turn = turn.lock() => turn,
                () = self.halt.cancelled() => return Err(Unshown::Undelivered(Undelivered::NotBegun)),
            };
            let draft = match ticket.begin(self.halt) {
                Task::Shown(placed) => return Ok((placed, false)),
                Task::Closed => return Err(Unshown::Closed),
                Task::Draw(draft) => draft,
            };
            let delivered = self.deliver(&draft).await;
            let is_behind = ticket.end(&draft, &delivered);
            match delivered {
                // Stopped for a newer state.
                Err(Undelivered::NotBegun) if !self.halt.is_cancelled() => {}
                Ok(placed) => return Ok((placed, is_behind)),
                Err(undelivered) => return Err(Unshown::Undelivered(undelivered)),
            }
        }
    }

    async fn deliver(self, draft: &Draft) -> Result<Placed, Undelivered> {
        let Draft {
            conversation,
            call,
            message,
            urgency,
            halt,
            ..
        } = draft;
        let priority = Priority::new(*urgency, self.queue);
        let courier = Courier::new(&self.context.teams, &priority, halt);
        match call {
            Call::Post(address) => {
                let activity = Activity::new(&message.card, &message.summary, self.alert);
                let posted = courier.post(address, conversation.clone(), &activity).await;
                if let Ok(Placed { conversation, activity }) = &posted {
                    info!(
                        request.id = self.queue,
                        conversation.id = conversation,
                        activity.id = activity,
                        "Shared card posted"
                    );
                }
                posted
            }
            Call::Update(id, address) => {
                let activity = Activity::new(&message.card, &message.summary, false);
                let placed = Placed {
                    conversation: conversation.clone(),
                    activity: id.clone(),
                };
                courier.update(address.as_ref(), placed, &activity).await
            }
        }
    }
}

/// Reads all records, so that no request is missing on a card that another process began.
///
/// A resolution does not wait for a list: after a short time, or if Teleport does not answer, the card shows the known requests,
/// and the next listing adds the others. After a failure, no delivery reads for a while, those included that waited for it.
async fn read_members(context: &Context, digest: DigestId, halt: &CancellationToken) {
    let digests = &context.digests;
    let read = async {
        let mut failed = digests.reading.lock().await;
        let is_pausing = failed.is_some_and(|failed| failed.elapsed() < READ_PAUSE);
        if is_pausing || digests.is_complete(digest) {
            return;
        }
        let records = context.client.all_plugin_data(PluginDataKind::AccessRequest);
        let error = match timeout(context.limits.look_up_patience, records).await {
            Ok(Ok(records)) => {
                digests.learn_all(&records, context.replica(), Some(digest));
                *failed = None;
                return;
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        *failed = Some(Instant::now());
        // Records that are too large for one message are in no listing either.
        if error.as_ref().is_none_or(|error| error.meaning() != Meaning::Exhausted) {
            context.resync_now.notify_one();
        }
        let (error, hint) = (
            error.as_ref().map(tracing::field::display),
            error.as_ref().and_then(|error| error.hint()),
        );
        debug!(error, hint, "Could not read in time which Access Requests share a card");
    };
    tokio::select! {
        () = halt.cancelled() => {}
        () = read => {}
    }
}

/// Draws shared cards again that do not show what this process knows although no delivery will draw them, until shutdown.
/// Each is drawn by a task, because a conversation may not answer.
pub(in crate::daemon) async fn keep_current(context: Arc<Context>, tasks: Tasks, heartbeat: Heartbeat) -> Infallible {
    let mut recovered = context.retry_now.subscribe();
    loop {
        let due = async {
            tokio::select! {
                () = context.digests.behind.notified() => {}
                // The sender lives as long as the context.
                _ = recovered.changed() => context.digests.retry_behind(),
            }
        };
        heartbeat.while_waiting(due).await;
        for digest in context.digests.all_behind() {
            let context = Arc::clone(&context);
            tasks.must_finish("digest", async move { catch_up(&context, digest).await });
        }
    }
}

/// Draws a card that is behind, with pauses after failures.
async fn catch_up(context: &Context, digest: DigestId) {
    let Some(mut ticket) = context.digests.catch_up(digest) else {
        return;
    };
    let limits = &context.limits;
    let mut pauses = Backoff::new(limits.again_first_pause, limits.again_longest_pause);
    let delivering = Delivering {
        context,
        queue: "shared cards",
        alert: false,
        halt: &context.stopping,
    };
    for _ in 0..MOST_CATCHING_UP {
        let mut probe = None;
        if let Some(failure) = ticket.failure() {
            tokio::select! {
                () = context.stopping.cancelled() => break,
                permit = rest(failure, pauses.pause(), limits.outage_pause, &context.retry_now, &context.probes) => probe = permit,
            }
        }
        let shown = delivering.show(&mut ticket).await;
        drop(probe);
        match shown {
            Ok(_) => return,
            Err(Unshown::Undelivered(Undelivered::Later(error, _))) => {
                debug!(%error, "Could not draw a shared card again, retrying");
            }
            // Microsoft may be behind; a card is given up only if it is missing twice.
            Err(Unshown::Undelivered(Undelivered::Gone(error, _))) if ticket.is_behind() => {
                debug!(%error, "Shared card is missing, retrying");
            }
            Err(Unshown::Undelivered(undelivered)) => {
                if let Some(error) = undelivered.into_error() {
                    debug!(%error, "Could not draw a shared card again");
                }
                break;
            }
            Err(Unshown::Closed) => break,
        }
    }
    ticket.give_up();
}

/// Waits until a failed call can be repeated, which is usually after this pause. While a service is out, a few calls probe it, and
/// its recovery ends every wait.
async fn rest(
    failure: Failure,
    pause: Duration,
    outage_pause: Duration,
    recovered: &watch::Sender<Services>,
    probes: &Arc<Semaphore>,
) -> Option<OwnedSemaphorePermit> {
    let Failure { not_before, outage } = failure;
    let waits = outage != Services::NONE;
    let mut recovered = recovered.subscribe();
    let until = Instant::now() + if waits { pause.min(outage_pause) } else { pause };
    let mut until = not_before.map_or(until, |asked| asked.max(until));
    loop {
        tokio::select! {
            () = sleep_until(until) => {}
            Ok(()) = recovered.changed(), if waits => {
                if recovered.borrow_and_update().meets(outage) {
                    return None;
                }
                continue;
            }
        }
        if !waits {
            return None;
        }
        if let Ok(probe) = Arc::clone(probes).try_acquire_owned() {
            return Some(probe);
        }
        until = Instant::now() + outage_pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits for as long as it takes, at most for an hour, and returns the seconds.
    async fn waited(rest: impl Future<Output = Option<OwnedSemaphorePermit>>) -> u64 {
        let begun = Instant::now();
        let _ = timeout(Duration::from_hours(1), rest).await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_call_is_repeated_after_a_pause_or_when_microsoft_asks_for_it() {
        let (recovered, probes) = (watch::Sender::new(Services::NONE), Arc::new(Semaphore::new(0)));
        let rest_for = |asked: u64| {
            let failure = Failure {
                not_before: Some(Instant::now() + SECOND * u32::try_from(asked).unwrap()),
                outage: Services::NONE,
            };
            waited(rest(failure, SECOND * 5, SECOND * 15, &recovered, &probes))
        };
        assert_eq!(rest_for(0).await, 5);
        assert_eq!(rest_for(300).await, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn during_an_outage_a_few_calls_probe_the_service_and_its_recovery_ends_every_wait() {
        let (recovered, probes) = (watch::Sender::new(Services::NONE), Arc::new(Semaphore::new(1)));
        let failure = Failure {
            not_before: None,
            outage: Services::TELEPORT,
        };
        let rests = || rest(failure, SECOND * 60, SECOND * 15, &recovered, &probes);
        let probe = rests().await;
        assert!(probe.is_some());
        assert_eq!(waited(rests()).await, 3_600, "another call probes the service");
        let recovers = async {
            tokio::time::sleep(SECOND * 20).await;
            recovered.send_replace(Services::TELEPORT);
        };
        assert_eq!(tokio::join!(waited(rests()), recovers).0, 20);
        drop(probe);
        assert_eq!(waited(rests()).await, 15);
    }
}
