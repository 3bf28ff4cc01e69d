//! Sends the messages of one reminder, each person separately.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::courier::{Courier, Placed, Undelivered};
use crate::daemon::people::address_of;
use crate::daemon::requests::Lanes;
use crate::daemon::reviewed::Reviewed;
use crate::daemon::upkeep::InForce;
use crate::domain::card::{Message, Reader, ReminderKind, Role, View, access_ends, reminder};
use crate::domain::lifecycle::{Audience, Posted, Record};
use crate::domain::recipients::Address;
use crate::domain::reminders::ReminderStep;
use crate::domain::request::{AccessRequest, ResourceNames};
use crate::msteams::{Activity, Error, Priority, Urgency};

/// The number of messages of one reminder that are sent at the same time.
const CONCURRENCY: usize = 8;

/// Attempts to send one message. A reminder that is much too late helps less than the next one.
const MOST_TRIES: usize = 6;

/// Where a message goes.
struct Letter {
    address: Address,
    /// The card that the message is about.
    card: Option<Posted>,
}

/// What one message came to.
enum Sent {
    Delivered,
    /// It is no longer wanted, or the daemon stops.
    Dropped,
    Failed,
}

/// What every message of one reminder shares.
struct Reminding<'a> {
    context: &'a Context,
    lanes: &'a Lanes,
    live: &'a InForce,
    request: &'a AccessRequest,
    step: ReminderStep,
    waited: Duration,
    names: Arc<ResourceNames>,
    priority: Priority,
}

/// Sends the messages of a step that was recorded as sent.
pub(super) async fn send(
    context: &Context,
    lanes: &Lanes,
    live: &InForce,
    request: &AccessRequest,
    record: &Record,
    step: ReminderStep,
    waited: Duration,
) {
    let names = context
        .names
        .of(request, &context.cluster.name, context.limits.look_up_patience);
    let reminding = Reminding {
        context,
        lanes,
        live,
        request,
        step,
        waited,
        names: names.await,
        priority: Priority::new(Urgency::Announcement, request.id.as_str()),
    };
    let letters = match step {
        ReminderStep::After(_) | ReminderStep::BeforeExpiry => reminding.to_reviewers(record).await,
        ReminderStep::AccessEnds => reminding.to_requester(record).await,
    };
    let sent = stream::iter(letters)
        .map(|letter| reminding.deliver(letter))
        .buffer_unordered(CONCURRENCY);
    let (mut delivered, mut failed) = (0_usize, 0_usize);
    let mut sent = std::pin::pin!(sent);
    while let Some(sent) = sent.next().await {
        match sent {
            Sent::Delivered => delivered += 1,
            Sent::Failed => failed += 1,
            Sent::Dropped => {}
        }
    }
    let id = &request.id;
    match step {
        ReminderStep::AccessEnds if delivered > 0 => {
            info!(request.id = %id, "Requester notified that access ends soon");
        }
        ReminderStep::AccessEnds => {}
        ReminderStep::After(_) | ReminderStep::BeforeExpiry => {
            info!(request.id = %id, recipients = delivered, failed, "Reminder sent");
        }
    }
}

impl Reminding<'_> {
    /// Lists the recipients with a card who have not reviewed.
    async fn to_reviewers(&self, record: &Record) -> Vec<Letter> {
        let reviewed = Reviewed::find(self.context, self.live, self.request).await;
        // Of several cards of a recipient, the last one replaces the others.
        let mut last: BTreeMap<&str, &Posted> = BTreeMap::new();
        for card in record.cards.iter().filter(|card| card.recipient.audience.reviews()) {
            last.insert(&card.recipient.name, card);
        }
        let mut letters = Vec::new();
        for (name, card) in last {
            let Ok(address) = Address::parse(name) else {
                continue;
            };
            if !reviewed.contains(self.context, &address, &self.priority).await {
                let card = Some(card.clone());
                letters.push(Letter { address, card });
            }
        }
        letters
    }

    /// Returns the requester: where the card of the requester is, or else the address of the user.
    async fn to_requester(&self, record: &Record) -> Vec<Letter> {
        let mut cards = record.cards.iter();
        let known = cards.find(|card| card.recipient.audience == Audience::Requester);
        let known = known.and_then(|card| Address::parse(&card.recipient.name).ok());
        let name = &self.live.review.user_id_trait;
        let address = match known {
            Some(address) => Some(address),
            None => match address_of(&self.context.lookups, &self.request.user, name).await {
                Ok(address) => address,
                Err(error) => {
                    debug!(request.id = %self.request.id, %error, "Could not read the traits of the requester");
                    None
                }
            },
        };
        if address.is_none() {
            let id = &self.request.id;
            info!(request.id = %id, "Requester has no address in Microsoft Teams and is not notified");
        }
        let letter = address.map(|address| Letter { address, card: None });
        letter.into_iter().collect()
    }

    /// Returns whether the message is still wanted, as far as this process knows: after the decision, only the decision is sent.
    fn is_wanted(&self) -> bool {
        match self.step {
            ReminderStep::After(_) | ReminderStep::BeforeExpiry => self.lanes.is_open(&self.request.id),
            ReminderStep::AccessEnds => self.request.access_until.is_none_or(|end| end > clock::now()),
        }
    }

    /// Sends one message, and retries it a few times.
    async fn deliver(&self, letter: Letter) -> Sent {
        let limits = &self.context.limits;
        let mut pauses = Backoff::new(limits.again_first_pause, limits.again_longest_pause);
        let mut last = None;
        for _ in 0..MOST_TRIES {
            if !self.is_wanted() {
                return Sent::Dropped;
            }
            let (error, asked) = match self.try_once(&letter).await {
                // A second reminder would be worse than none.
                Ok(_) | Err(Undelivered::Nameless(..) | Undelivered::Unconfirmed(_)) => return Sent::Delivered,
                Err(Undelivered::NotBegun) => return Sent::Dropped,
                Err(Undelivered::Refused(error) | Undelivered::Gone(error, _)) => {
                    self.report(&letter, &error);
                    return Sent::Failed;
                }
                Err(Undelivered::Later(error, asked)) => (error, asked),
            };
            last = Some(error);
            let pause = pauses.pause().max(asked.unwrap_or_default());
            tokio::select! {
                () = sleep(pause) => {}
                () = self.context.stopping.cancelled() => return Sent::Dropped,
            }
        }
        if let Some(error) = last {
            self.report(&letter, &error);
        }
        Sent::Failed
    }

    fn report(&self, letter: &Letter, error: &Error) {
        let (recipient, hint) = (&letter.address, error.hint());
        warn!(request.id = %self.request.id, %recipient, %error, hint, "Could not send a reminder");
    }

    async fn try_once(&self, letter: &Letter) -> Result<Placed, Undelivered> {
        let courier = Courier::new(&self.context.teams, &self.priority, &self.context.stopping);
        let known = letter.card.as_ref().and_then(|card| card.conversation.clone());
        let conversation = match known {
            Some(conversation) => conversation,
            None => courier.find(&letter.address).await?,
        };
        let activity = self.draw(letter, &conversation);
        let in_thread = letter.card.as_ref().filter(|card| !card.activity.is_empty());
        if let Some(card) = in_thread.filter(|_| letter.address.channel().is_some()) {
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
        courier.post(&letter.address, conversation, &activity).await
    }

    fn draw(&self, letter: &Letter, conversation: &str) -> Activity {
        let is_channel = letter.address.channel().is_some();
        let reader = Reader {
            role: match self.step {
                ReminderStep::After(_) | ReminderStep::BeforeExpiry => Role::Reviewer,
                ReminderStep::AccessEnds => Role::Requester,
            },
            is_channel,
            ..Reader::default()
        };
        let view = View {
            cluster: &self.context.cluster,
            names: &self.names,
            reader: &reader,
            now: clock::now(),
            reviews: None,
        };
        // A reply stands below its card.
        let card = letter.card.as_ref().filter(|_| !is_channel);
        let link = card.and_then(|card| self.context.teams.message_link(conversation, &card.activity, None));
        let kind = match self.step {
            ReminderStep::After(_) => ReminderKind::StillPending { since: self.waited },
            ReminderStep::BeforeExpiry => ReminderKind::ExpiresSoon,
            ReminderStep::AccessEnds => {
                let Message { card, summary } = access_ends(view, self.request);
                return Activity::new(&card, &summary, self.live.notify.attention.alert);
            }
        };
        let Message { card, summary } = reminder(view, self.request, kind, link.as_deref());
        Activity::new(&card, &summary, self.live.notify.attention.alert)
    }
}
