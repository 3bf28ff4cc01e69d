//! Delivers the cards that several requests share.
//!
//! A shared card has one update in flight. A delivery whose change is already in a newer drawing makes no call, so a burst of
//! changes costs few updates, and a resolution overtakes queued ones.

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::daemon::context::Context;
use crate::daemon::courier::{Courier, Placed, Undelivered};
use crate::daemon::requests::delivery::{Deferral, Done, Round, urgency};
use crate::daemon::requests::digests::Admitted;
use crate::daemon::requests::digests::reading::read_members;
use crate::daemon::requests::digests::ticket::{Call, Draft, NextStep, Ticket};
use crate::domain::lifecycle::{Change, Outcome, Posted, Recipient, Target};
use crate::msteams::{Activity, Priority};

/// Attempts to join shared cards that turn out to be deleted, before a request gets its own card.
const MOST_JOINS: usize = 3;

/// The number of times that a delivery draws a card again because of changes that no other delivery shows.
const MOST_REDRAWINGS: usize = 3;

/// Why a shared card does not show a change.
pub(super) enum Unshown {
    /// The card was never posted.
    Closed,
    Undelivered(Undelivered),
}

/// How a shared card is delivered.
#[derive(Clone, Copy)]
pub(super) struct Delivering<'a> {
    pub(super) context: &'a Context,
    /// The request or card whose turn in the queue it is.
    pub(super) queue: &'a str,
    /// A new card alerts its recipients.
    pub(super) alert: bool,
    pub(super) halt: &'a CancellationToken,
}

impl Round<'_> {
    /// Posts a request: on a shared card if its conversation got many cards lately, and otherwise on its own card.
    pub(in crate::daemon::requests) async fn post_in(
        &self,
        target: &Target,
        conversation: String,
        priority: &Priority,
    ) -> Done {
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
    pub(in crate::daemon::requests) async fn update_shared(
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
    pub(in crate::daemon::requests) fn count_replacement(&self, recipient: &Recipient, conversation: &str) {
        if let Some(settings) = self.sheet.digest().filter(|_| recipient.audience.reviews()) {
            self.context.digests.count(conversation, settings.above);
        }
    }
}

impl Delivering<'_> {
    /// Delivers a shared card unless it shows the change of the ticket already.
    pub(super) async fn show(self, ticket: &mut Ticket<'_>) -> Result<Placed, Unshown> {
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
            let in_flight = ticket.in_flight();
            // The card may show the change already, even if the delivery is halted.
            let _in_flight = tokio::select! {
                biased;
                lock = in_flight.lock() => lock,
                () = self.halt.cancelled() => return Err(Unshown::Undelivered(Undelivered::NotBegun)),
            };
            let draft = match ticket.begin(self.halt) {
                NextStep::Shown(placed) => return Ok((placed, false)),
                NextStep::Closed => return Err(Unshown::Closed),
                NextStep::Draw(draft) => draft,
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
