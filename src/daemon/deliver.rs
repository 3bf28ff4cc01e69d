//! Carries out a plan: each recipient on its own, noted as it happens.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::warn;

use crate::daemon::claiming::Lease;
use crate::daemon::context::Context;
use crate::daemon::settling::Ledger;
use crate::daemon::turns::Turn;
use crate::daemon::waiting::Waiting;
use crate::domain::lifecycle::{Entry, Outcome, Posted, Step, Work};
use crate::domain::recipients::Address;
use crate::domain::request::{RequestId, Stage};
use crate::msteams::{Activity, Conversation, Error, Meaning, Retry, Urgency};
use crate::telemetry::DeliveryKind;

/// How many deliveries of one request may wait for their turn at once: a request with a thousand recipients then stands
/// in the queue like any other.
const AT_ONCE: usize = 32;

/// What became of one step.
#[derive(Debug)]
enum Done {
    /// For good, in this order.
    Noted(Vec<Outcome>),
    /// The person was told under another address.
    Told(Address),
    /// Not now.
    Again(Option<Duration>),
    /// Nothing was begun, because the request changed or the daemon stops.
    NotBegun,
}

/// How a plan ended.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) posted: usize,
    pub(super) updated: usize,
    pub(super) refused: usize,
    pub(super) told: Vec<Address>,
    /// Deliveries that have to be tried again, and the longest pause that Microsoft asked for.
    pub(super) again: usize,
    pub(super) pause: Option<Duration>,
    pub(super) interrupted: bool,
}

/// What is to be delivered, and under which conditions.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    pub(super) id: &'a RequestId,
    pub(super) work: &'a Work,
    pub(super) lease: &'a Lease,
    /// Cancelled when nothing more is to be begun: the request changed, or the daemon stops.
    pub(super) stop: &'a CancellationToken,
    /// Since when people wait for it.
    pub(super) waiting: Option<Waiting>,
    /// Only the first failure of a row is told above debug level.
    pub(super) quiet: bool,
}

/// What every delivery of one plan shares.
struct Round<'a> {
    job: Job<'a>,
    activity: Activity,
    urgency: Urgency,
    /// Cancelled when the job is to stop, or the claim is lost.
    halt: CancellationToken,
    /// Conversations that have a card, or are about to.
    taken: Mutex<HashSet<String>>,
}

/// Delivers and notes everything that the plan asks for, until it is done or the job is told to stop. What is on its way then
/// is still finished and noted. Where nothing moves for a while, others have the turn meanwhile.
pub(super) async fn deliver(job: Job<'_>, ledger: &mut Ledger<'_>, turn: &mut Turn) -> Delivered {
    let Job {
        context, work, lease, ..
    } = job;
    let round = Round {
        job,
        activity: Activity::new(&work.message.card, &work.message.summary),
        urgency: urgency(work),
        halt: job.stop.child_token(),
        taken: Mutex::new(HashSet::new()),
    };
    round.take_conversations_of(&ledger.record().cards).await;
    let mut delivered = Delivered::default();
    let deliveries = stream::iter(work.steps.clone())
        .map(|step| round.step(step))
        .buffer_unordered(AT_ONCE);
    let mut deliveries = pin!(deliveries);
    let mut guard = pin!(round.guard());
    let mut heartbeat = interval(context.limits.claim_term / 3);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let mut open = true;
    let mut waiting = Vec::new();
    while open {
        tokio::select! {
            done = deliveries.next() => match done {
                Some(done) => waiting.extend(delivered.count(done)),
                None => open = false,
            },
            () = sleep(context.limits.standing_still) => {
                turn.step_aside();
                continue;
            }
            _ = heartbeat.tick() => {}
            () = &mut guard => {}
        }
        while open {
            // Whatever else is ready goes into the same entry.
            match futures_util::poll!(deliveries.next()) {
                std::task::Poll::Ready(Some(done)) => waiting.extend(delivered.count(done)),
                std::task::Poll::Ready(None) => open = false,
                std::task::Poll::Pending => break,
            }
        }
        if !open {
            break;
        }
        // Deliveries go on while an entry is written, and make up the next one.
        let mut written = pin!(ledger.write(std::mem::take(&mut waiting), Entry::Interim));
        loop {
            tokio::select! {
                () = &mut written => break,
                () = &mut guard => {}
                done = deliveries.next(), if open => match done {
                    Some(done) => waiting.extend(delivered.count(done)),
                    None => open = false,
                },
            }
        }
        heartbeat.reset();
        if !lease.holds() {
            round.halt.cancel();
        }
    }
    let complete = delivered.again == 0 && !delivered.interrupted;
    ledger.write(waiting, Entry::Last { complete }).await;
    delivered
}

fn urgency(work: &Work) -> Urgency {
    if work.shown.stage.is_resolved() {
        Urgency::Resolution
    } else if work.steps.iter().any(|step| matches!(step, Step::Update(_))) {
        Urgency::Review
    } else {
        Urgency::Announcement
    }
}

/// Tells whether the app or the chat is not what it was when we looked.
fn is_elsewhere(error: &Error) -> bool {
    matches!(error.meaning(), Meaning::BotNotInstalled | Meaning::NotFound)
}

fn refusal(recipient: &str, why: String) -> Outcome {
    Outcome::Refused {
        recipient: recipient.to_owned(),
        why,
    }
}

impl Delivered {
    /// Counts a result, and returns what has to be noted of it.
    fn count(&mut self, done: Done) -> Vec<Outcome> {
        match done {
            Done::Noted(outcomes) => {
                for outcome in &outcomes {
                    match outcome {
                        Outcome::Posted { .. } => self.posted += 1,
                        Outcome::Updated { .. } => self.updated += 1,
                        Outcome::Refused { .. } => self.refused += 1,
                        Outcome::Vanished { .. } => {}
                    }
                }
                return outcomes;
            }
            Done::Told(address) => self.told.push(address),
            Done::Again(pause) => {
                self.again += 1;
                self.pause = self.pause.max(pause);
            }
            Done::NotBegun => self.interrupted = true,
        }
        Vec::new()
    }
}

impl Round<'_> {
    /// Halts everything when the claim has ended, even what only waits for Microsoft's limits; never ends itself.
    async fn guard(&self) {
        while let Some(left) = self.job.lease.left() {
            sleep(left).await;
        }
        self.halt.cancel();
        std::future::pending::<()>().await;
    }

    async fn step(&self, step: Step) -> Done {
        if self.halt.is_cancelled() {
            return Done::NotBegun;
        }
        match step {
            Step::Post(address) => self.post(&address).await,
            Step::Update(card) => self.update(&card).await,
        }
    }

    /// Keeps a person with a card from getting a second one under another address.
    async fn take_conversations_of(&self, cards: &[Posted]) {
        let posts = self.job.work.steps.iter().any(|step| matches!(step, Step::Post(_)));
        let mut conversations = Vec::new();
        for card in cards {
            match &card.conversation {
                Some(conversation) => conversations.push(conversation.clone()),
                // The Go plugin does not note where a card is.
                None if posts => {
                    if let Ok(address) = Address::parse(&card.recipient)
                        && let Ok(conversation) = self.job.context.teams.resolve(&address).await
                    {
                        conversations.push(conversation.id);
                    }
                }
                None => {}
            }
        }
        self.taken().extend(conversations);
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn resolve(&self, address: &Address) -> Option<Result<Conversation, Error>> {
        tokio::select! {
            () = self.halt.cancelled() => None,
            resolved = self.job.context.teams.resolve(address) => Some(resolved),
        }
    }

    async fn post(&self, address: &Address) -> Done {
        let conversation = match self.resolve(address).await {
            None => return Done::NotBegun,
            Some(Err(error)) => return self.failed(address, &error),
            Some(Ok(conversation)) => conversation,
        };
        if !self.taken().insert(conversation.id.clone()) {
            return Done::Told(address.clone());
        }
        let mut conversation = conversation.id;
        let mut sent = self.send(&conversation).await;
        if sent.as_ref().is_err_and(is_elsewhere) {
            conversation = match self.look_again(address).await {
                Ok(conversation) => conversation,
                Err(done) => return done,
            };
            sent = self.send(&conversation).await;
        }
        match sent {
            Ok(activity) => Done::Noted(vec![self.posted(address.as_str(), activity, conversation, false)]),
            Err(error) => self.failed(address, &error),
        }
    }

    /// Sends the card as a new message, and returns its id; the id is empty if Microsoft took the card and did not tell.
    async fn send(&self, conversation: &str) -> Result<String, Error> {
        self.mind_the_claim();
        let teams = &self.job.context.teams;
        match teams.post(conversation, &self.activity, self.urgency, &self.halt).await {
            Err(error) if error.meaning() == Meaning::Delivered => {
                warn!(request.id = %self.job.id, %error, "A card was posted that cannot be updated");
                Ok(String::new())
            }
            sent => sent,
        }
    }

    /// Begins nothing more once the claim does not hold: whoever has it now may know better.
    fn mind_the_claim(&self) {
        if !self.job.lease.holds() {
            self.halt.cancel();
        }
    }

    async fn update(&self, card: &Posted) -> Done {
        let address = Address::parse(&card.recipient);
        let mut conversation = match (&card.conversation, &address) {
            (Some(conversation), _) => conversation.clone(),
            (None, Ok(address)) => match self.resolve(address).await {
                None => return Done::NotBegun,
                Some(Err(error)) => return self.failed(address, &error),
                Some(Ok(conversation)) => conversation.id,
            },
            (None, Err(reason)) => {
                return self.refused(&card.recipient, &card.recipient, reason.clone(), None);
            }
        };
        let mut updated = self.edit(card, &conversation).await;
        if let (true, Ok(address)) = (updated.as_ref().is_err_and(is_elsewhere), &address) {
            conversation = match self.look_again(address).await {
                Ok(conversation) => conversation,
                Err(done) => return done,
            };
            updated = self.edit(card, &conversation).await;
        }
        match updated {
            Ok(()) => {
                self.accepted(if self.job.work.shown.stage.is_resolved() {
                    DeliveryKind::Resolution
                } else {
                    DeliveryKind::Review
                });
                Done::Noted(vec![Outcome::Updated {
                    activity: card.activity.clone(),
                    conversation,
                }])
            }
            Err(error) if error.meaning() == Meaning::Gone => self.replace(card, conversation).await,
            Err(error) if error.meaning() == Meaning::Stopped => Done::NotBegun,
            Err(error) => match &address {
                Ok(address) => self.failed(address, &error),
                Err(_) => self.refused(&card.recipient, &card.recipient, error.to_string(), error.hint()),
            },
        }
    }

    async fn edit(&self, card: &Posted, conversation: &str) -> Result<(), Error> {
        self.mind_the_claim();
        let teams = &self.job.context.teams;
        let edit = teams.update(conversation, &card.activity, &self.activity, self.urgency, &self.halt);
        edit.await
    }

    /// Finds a conversation anew, which installs the app where it is missing.
    async fn look_again(&self, address: &Address) -> Result<String, Done> {
        self.job.context.teams.forget(address);
        match self.resolve(address).await {
            None => Err(Done::NotBegun),
            Some(Err(error)) => Err(self.failed(address, &error)),
            Some(Ok(conversation)) => Ok(conversation.id),
        }
    }

    /// Posts a card anew whose message somebody deleted: once, and only while there is something to decide.
    async fn replace(&self, card: &Posted, conversation: String) -> Done {
        let mut outcomes = vec![Outcome::Vanished {
            activity: card.activity.clone(),
        }];
        debug!(request.id = %self.job.id, activity.id = card.activity, "The message is gone");
        if self.job.work.shown.stage != Stage::Pending {
            return Done::Noted(outcomes);
        }
        if card.again {
            let why = "the message was deleted twice".to_owned();
            outcomes.push(refusal(&card.recipient, why));
            return Done::Noted(outcomes);
        }
        if let Ok(activity) = self.send(&conversation).await {
            outcomes.push(self.posted(&card.recipient, activity, conversation, true));
        }
        // If that failed, the next plan finds a recipient without a card.
        Done::Noted(outcomes)
    }

    fn posted(&self, recipient: &str, activity: String, conversation: String, again: bool) -> Outcome {
        debug!(request.id = %self.job.id, activity.id = activity, "Successfully posted to MS Teams");
        if !again {
            self.accepted(DeliveryKind::Announcement);
        }
        Outcome::Posted {
            recipient: recipient.to_owned(),
            activity,
            conversation,
            again,
        }
    }

    /// Measures how long people waited for a card that was accepted now.
    fn accepted(&self, kind: DeliveryKind) {
        if let Some(waiting) = self.job.waiting {
            let delay = waiting.delay(kind, Instant::now());
            self.job.context.metrics.delivery_took(kind, delay);
        }
    }

    fn refused(&self, recipient: &str, shown: &str, why: String, hint: Option<&str>) -> Done {
        warn!(request.id = %self.job.id, recipient = shown, error = why, hint, "Recipient cannot be told");
        Done::Noted(vec![refusal(recipient, why)])
    }

    /// Sorts a failure: for good, or for now.
    fn failed(&self, address: &Address, error: &Error) -> Done {
        if error.meaning() == Meaning::Stopped {
            return Done::NotBegun;
        }
        match error.retry() {
            Retry::Never => self.refused(address.as_str(), &address.to_string(), error.to_string(), error.hint()),
            Retry::Later(pause) => {
                self.tell_delay(address, error, "Delivery failed for now");
                Done::Again(pause)
            }
            Retry::FateUnknown => {
                // The record does not have it, so it is posted again when the plan is made anew: better twice than never.
                self.tell_delay(address, error, "Delivery was not confirmed; it is repeated");
                Done::Again(None)
            }
        }
    }

    fn tell_delay(&self, address: &Address, error: &Error, what: &'static str) {
        let hint = error.hint();
        if self.job.quiet || !self.job.context.troubles.microsoft_example(error) {
            debug!(request.id = %self.job.id, recipient = %address, %error, hint, "{what}");
        } else {
            warn!(request.id = %self.job.id, recipient = %address, %error, hint, "{what}");
        }
    }
}
