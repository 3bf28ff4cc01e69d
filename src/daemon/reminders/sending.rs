//! Sends the messages of one reminder, each recipient separately.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::courier::{Courier, Placed, Undelivered};
use crate::daemon::exempt::Exempt;
use crate::daemon::people::address_of;
use crate::daemon::requests::Lanes;
use crate::daemon::upkeep::InForce;
use crate::domain::card::{Message, Place, Reader, ReminderKind, Role, View, access_ends, reminder};
use crate::domain::lifecycle::{Audience, Posted, Record};
use crate::domain::recipients::Address;
use crate::domain::reminders::ReminderStep;
use crate::domain::request::{AccessRequest, ResourceNames};
use crate::msteams::{Activity, Error, Priority, Urgency};
use crate::telemetry::Reminder;
use crate::teleport;

/// The number of messages of one reminder that are sent at the same time.
const CONCURRENCY: usize = 8;

/// Attempts to send one message, apart from those during an outage.
const MOST_TRIES: usize = 6;

/// A message of a reminder.
pub(super) struct Reminded {
    address: Address,
    /// The card that the message is about.
    card: Option<Posted>,
}

/// What the sending of one message came to.
enum Sent {
    Delivered,
    /// It is no longer wanted, or the daemon stops.
    Dropped,
    Failed,
}

/// What every message of one reminder shares.
pub(super) struct Reminding<'a> {
    context: &'a Context,
    lanes: &'a Lanes,
    live: &'a InForce,
    request: &'a AccessRequest,
    step: ReminderStep,
    waited: Duration,
    priority: Priority,
}

impl<'a> Reminding<'a> {
    pub(super) fn new(
        context: &'a Context,
        lanes: &'a Lanes,
        live: &'a InForce,
        request: &'a AccessRequest,
        step: ReminderStep,
        waited: Duration,
    ) -> Self {
        Self {
            context,
            lanes,
            live,
            request,
            step,
            waited,
            priority: Priority::new(Urgency::Announcement, request.id.as_str()),
        }
    }

    /// Lists the messages of the step.
    ///
    /// # Errors
    /// Teleport did not answer; a retry may help.
    pub(super) async fn messages(&self, record: &Record) -> Result<Vec<Reminded>, teleport::Error> {
        match self.step {
            ReminderStep::After(_) | ReminderStep::BeforeExpiry => Ok(self.to_reviewers(record).await),
            ReminderStep::AccessEnds => self.to_requester(record).await,
        }
    }

    /// Lists the recipients with a card who have not reviewed.
    async fn to_reviewers(&self, record: &Record) -> Vec<Reminded> {
        let exempt = Exempt::find_known(self.context, self.live, self.request).await;
        // Of several cards of a recipient, the last one replaces the others.
        let mut last: BTreeMap<&str, &Posted> = BTreeMap::new();
        for card in record.cards.iter().filter(|card| card.recipient.audience.reviews()) {
            last.insert(&card.recipient.name, card);
        }
        let mut messages = Vec::new();
        for (name, card) in last {
            let Ok(address) = Address::parse(name) else {
                continue;
            };
            if !exempt.contains(self.context, &address, &self.priority).await {
                let card = Some(card.clone());
                messages.push(Reminded { address, card });
            }
        }
        messages
    }

    /// Finds the requester: where the card of the requester is, or else the address of the user.
    async fn to_requester(&self, record: &Record) -> Result<Vec<Reminded>, teleport::Error> {
        let mut cards = record.cards.iter();
        let known = cards.find(|card| card.recipient.audience == Audience::Requester);
        let known = known.and_then(|card| Address::parse(&card.recipient.name).ok());
        let address = if known.is_some() {
            known
        } else {
            let name = &self.live.review.user_id_trait;
            match address_of(&self.context.lookups, &self.request.user, name).await {
                Err(error) if error.meaning() == teleport::Meaning::Denied => None,
                found => found?,
            }
        };
        if address.is_none() {
            let id = &self.request.id;
            info!(request.id = %id, "Requester has no address in Microsoft Teams and is not notified");
        }
        let message = address.map(|address| Reminded { address, card: None });
        Ok(message.into_iter().collect())
    }

    /// Sends the messages, after the step was recorded as sent.
    pub(super) async fn send(&self, messages: Vec<Reminded>) {
        let Self { context, request, .. } = self;
        let patience = context.limits.look_up_patience;
        let names = context.names.of(request, &context.cluster.name, patience).await;
        let sends = stream::iter(messages).map(|message| self.deliver(message, &names));
        let mut sends = pin!(sends.buffer_unordered(CONCURRENCY));
        let (mut recipients, mut failed, mut dropped) = (0_usize, 0_usize, 0_usize);
        while let Some(sent) = sends.next().await {
            match sent {
                Sent::Delivered => recipients += 1,
                Sent::Failed => failed += 1,
                Sent::Dropped => dropped += 1,
            }
        }
        let id = &request.id;
        match self.step {
            ReminderStep::AccessEnds if recipients > 0 => {
                info!(request.id = %id, "Requester notified that access ends soon");
            }
            ReminderStep::AccessEnds => {}
            ReminderStep::After(_) | ReminderStep::BeforeExpiry => {
                info!(request.id = %id, recipients, failed, dropped, "Reminder sent");
            }
        }
    }

    /// Returns whether the message is still wanted, as far as this process knows: after the decision, only the decision is sent.
    fn is_wanted(&self) -> bool {
        match self.step {
            ReminderStep::After(_) | ReminderStep::BeforeExpiry => self.lanes.is_open(&self.request.id),
            ReminderStep::AccessEnds => self.request.access_until.is_none_or(|end| end > clock::now()),
        }
    }

    /// Sends one message. A failure is retried a few times, and during an outage as long as the message is wanted.
    async fn deliver(&self, message: Reminded, names: &Arc<ResourceNames>) -> Sent {
        let (context, limits) = (self.context, &self.context.limits);
        let mut pauses = Backoff::new(limits.again_first_pause, limits.again_longest_pause);
        // The step is recorded as sent, so a shutdown waits for the first attempt.
        let (mut halt, mut tries) = (CancellationToken::new(), 0);
        while self.is_wanted() {
            let (error, asked) = match self.try_once(&message, names, &halt).await {
                // A second reminder would be worse than none.
                Ok(_) | Err(Undelivered::Nameless(..) | Undelivered::Unconfirmed(_)) => {
                    context.metrics.reminded(self.kind(), true);
                    return Sent::Delivered;
                }
                Err(Undelivered::NotBegun) => return Sent::Dropped,
                Err(Undelivered::Refused(error) | Undelivered::Gone(error, _)) => return self.failed(&message, &error),
                Err(Undelivered::Later(error, asked)) => (error, asked),
            };
            let is_outage = error.is_outage();
            tries += usize::from(!is_outage);
            if tries >= MOST_TRIES {
                return self.failed(&message, &error);
            }
            let pause = pauses.pause().max(asked.unwrap_or_default());
            let pause = if is_outage {
                pause.min(limits.outage_pause)
            } else {
                pause
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = context.stopping.cancelled() => return Sent::Dropped,
            }
            halt = context.stopping.clone();
        }
        Sent::Dropped
    }

    fn failed(&self, message: &Reminded, error: &Error) -> Sent {
        self.context.metrics.reminded(self.kind(), false);
        let (id, recipient, hint) = (&self.request.id, &message.address, error.hint());
        match self.step {
            // Not every requester uses Microsoft Teams.
            ReminderStep::AccessEnds => {
                info!(request.id = %id, %recipient, %error, hint, "Cannot notify the requester");
            }
            ReminderStep::After(_) | ReminderStep::BeforeExpiry => {
                warn!(request.id = %id, %recipient, %error, hint, "Could not send a reminder");
            }
        }
        Sent::Failed
    }

    fn kind(&self) -> Reminder {
        match self.step {
            ReminderStep::After(_) | ReminderStep::BeforeExpiry => Reminder::Review,
            ReminderStep::AccessEnds => Reminder::AccessEnds,
        }
    }

    async fn try_once(
        &self,
        message: &Reminded,
        names: &Arc<ResourceNames>,
        halt: &CancellationToken,
    ) -> Result<Placed, Undelivered> {
        let courier = Courier::new(&self.context.teams, &self.priority, halt);
        let known = message.card.as_ref().and_then(|card| card.conversation.clone());
        let conversation = match known {
            Some(conversation) => conversation,
            None => courier.find(&message.address).await?,
        };
        let link = self.link(message, &conversation).await;
        let activity = self.draw(message, names, link.as_deref());
        let in_thread = message.card.as_ref().filter(|card| !card.activity.is_empty());
        if let Some(card) = in_thread.filter(|_| message.address.is_channel()) {
            let placed = Placed {
                conversation: conversation.clone(),
                activity: card.activity.clone(),
            };
            match courier.reply(&placed, &activity).await {
                // The card was deleted, so there is no thread.
                Err(Undelivered::Gone(..)) => {}
                replied => return replied,
            }
        }
        courier.post(&message.address, conversation, &activity).await
    }

    /// Finds the link to a card in a chat; without one in time, the reminder has none. A reply stands below its card.
    async fn link(&self, message: &Reminded, conversation: &str) -> Option<String> {
        let card = message.card.as_ref().filter(|_| !message.address.is_channel())?;
        let teams = &self.context.teams;
        let link = teams.find_message_link(&message.address, conversation, &card.activity, &self.priority);
        let patience = self.context.limits.look_up_patience;
        timeout(patience, Box::pin(link)).await.ok().flatten()
    }

    fn draw(&self, message: &Reminded, names: &ResourceNames, link: Option<&str>) -> Activity {
        let place = Place::of(&message.address);
        let reader = Reader {
            role: match self.step {
                ReminderStep::After(_) | ReminderStep::BeforeExpiry => Role::Reviewer,
                ReminderStep::AccessEnds => Role::Requester,
            },
            place,
            ..Reader::default()
        };
        let view = View {
            cluster: &self.context.cluster,
            names,
            reader: &reader,
            now: clock::now(),
            reviews: None,
        };
        let kind = match self.step {
            ReminderStep::After(_) => ReminderKind::StillPending { since: self.waited },
            ReminderStep::BeforeExpiry => ReminderKind::ExpiresSoon,
            ReminderStep::AccessEnds => return self.activity(access_ends(view, self.request)),
        };
        self.activity(reminder(view, self.request, kind, link))
    }

    fn activity(&self, Message { card, summary }: Message) -> Activity {
        Activity::new(&card, &summary, self.live.notify.attention.alert)
    }
}
