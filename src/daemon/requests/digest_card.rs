//! Delivers the cards that several requests share.
//!
//! A shared card has one update in flight. A delivery whose change is already in a newer drawing makes no call, so a burst of
//! changes costs few updates, and a resolution overtakes queued ones.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::backoff::Backoff;
use crate::daemon::context::Context;
use crate::daemon::courier::{Courier, Placed, Undelivered};
use crate::daemon::requests::delivery::{Deferral, Done, Round, urgency};
use crate::daemon::requests::digest_table::{DigestId, Place};
use crate::daemon::requests::digests::{Admitted, Draft, Task, Ticket};
use crate::daemon::tasks::Tasks;
use crate::domain::lifecycle::{Change, Outcome, Posted, Recipient, Target};
use crate::domain::recipients::Address;
use crate::heartbeat::Heartbeat;
use crate::msteams::{Activity, Priority};
use crate::teleport::PluginDataKind;

/// Attempts to join shared cards that turn out to be deleted, before a request gets its own card.
const MOST_JOINS: usize = 3;

/// The number of times that a delivery draws a card again because of changes that no other delivery shows.
const MOST_REDRAWINGS: usize = 3;

/// The number of times that a card which is behind is drawn while that fails. The next listing tries again.
const MOST_CATCHING_UP: usize = 5;

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
    /// The address of the conversation, which is used if the conversation has moved.
    address: Option<&'a Address>,
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
            let (line, digests) = (self.sheet.line(), &self.context.digests);
            match digests.admit(&conversation, settings.above, line, urgency(Change::Announcement)) {
                Admitted::Alone(slot) => {
                    let done = self.post_alone(target, conversation, priority).await;
                    if may_exist(&done) {
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
            address: Some(&target.address),
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
        address: Option<&Address>,
        conversation: String,
        priority: &Priority,
        missing: bool,
    ) -> Done {
        let digests = &self.context.digests;
        let place = (conversation, card.activity.clone());
        if !digests.is_complete(&place) {
            read_members(self.context, &place, &self.halt).await;
        }
        let mut ticket = digests.change(place, self.sheet.line(), urgency(Change::of_update(self.shown)));
        let delivering = Delivering {
            context: self.context,
            address,
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
            activity: id,
            message,
            urgency,
            halt,
            ..
        } = draft;
        let priority = Priority::new(*urgency, self.queue);
        let courier = Courier::new(&self.context.teams, &priority, halt);
        if let Some(id) = id {
            let activity = Activity::new(&message.card, &message.summary, false);
            let placed = Placed {
                conversation: conversation.clone(),
                activity: id.clone(),
            };
            return courier.update(self.address, placed, &activity).await;
        }
        let activity = Activity::new(&message.card, &message.summary, self.alert);
        let posted = match self.address {
            Some(address) => courier.post(address, conversation.clone(), &activity).await,
            None => courier.post_in(conversation.clone(), &activity).await,
        };
        if posted.is_ok() {
            info!(
                request.id = self.queue,
                conversation, "Access Requests of a conversation share one card"
            );
        }
        posted
    }
}

/// Returns whether a post may have created a card.
fn may_exist(done: &Done) -> bool {
    match done {
        Done::Recorded(_) => true,
        Done::Refused(_, refused) => refused.unconfirmed,
        Done::Elsewhere(_) | Done::Deferred(_) | Done::NotBegun => false,
    }
}

/// Reads all records, so that no request is missing on a card that another process began. If Teleport does not answer, the
/// card shows the known requests, because a resolution does not wait; the next listing adds the others.
async fn read_members(context: &Context, place: &Place, halt: &CancellationToken) {
    let read = async {
        let _reading = context.digests.reading.lock().await;
        if context.digests.is_complete(place) {
            return;
        }
        match context.client.all_plugin_data(PluginDataKind::AccessRequest).await {
            Ok(records) => context.digests.learn_all(&records, context.replica()),
            Err(error) => {
                let hint = error.hint();
                debug!(%error, hint, "Could not read which Access Requests share a card");
            }
        }
    };
    tokio::select! {
        () = halt.cancelled() => {}
        () = read => {}
    }
}

/// Draws shared cards again that do not show what this process knows although no delivery will draw them, until shutdown.
/// Each is drawn by a task, because a conversation may not answer.
pub(in crate::daemon) async fn keep_current(context: Arc<Context>, tasks: Tasks, heartbeat: Heartbeat) -> Infallible {
    loop {
        heartbeat.while_waiting(context.digests.behind.notified()).await;
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
        address: None,
        queue: "shared cards",
        alert: false,
        halt: &context.stopping,
    };
    for _ in 0..MOST_CATCHING_UP {
        if ticket.follows_failure() {
            tokio::select! {
                () = context.stopping.cancelled() => break,
                () = sleep(pauses.pause()) => {}
            }
        }
        match delivering.show(&mut ticket).await {
            Ok(_) => return,
            Err(Unshown::Undelivered(Undelivered::Later(error, _))) => {
                debug!(%error, "Could not draw a shared card again, retrying");
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
