//! One step of a plan: a card posted or updated for one recipient, wherever the chat and the app are now.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::warn;

use crate::daemon::deliver::Job;
use crate::domain::lifecycle::{Outcome, Posted, Step, Work};
use crate::domain::recipients::Address;
use crate::domain::request::Stage;
use crate::msteams::{Activity, Conversation, Error, Meaning, Retry, Urgency};
use crate::telemetry::DeliveryKind;

/// What became of one step.
#[derive(Debug)]
pub(super) enum Done {
    /// For good, in this order.
    Noted(Vec<Outcome>),
    /// The person was told under another address.
    Told(Address),
    /// Not now.
    Again(Option<Duration>),
    /// Nothing was begun, because the request changed or the daemon stops.
    NotBegun,
}

/// What every delivery of one plan shares.
pub(super) struct Round<'a> {
    job: Job<'a>,
    activity: Activity,
    urgency: Urgency,
    /// Cancelled when the job is to stop, or the claim is lost.
    pub(super) halt: CancellationToken,
    /// Conversations that have a card, or are about to.
    taken: Mutex<HashSet<String>>,
}

impl<'a> Round<'a> {
    pub(super) fn new(job: Job<'a>) -> Self {
        Self {
            job,
            activity: Activity::new(&job.work.message.card, &job.work.message.summary),
            urgency: urgency(job.work),
            halt: job.stop.child_token(),
            taken: Mutex::new(HashSet::new()),
        }
    }

    /// Halts everything when the claim has ended, even what only waits for Microsoft's limits; never ends itself.
    pub(super) async fn guard(&self) {
        while let Some(left) = self.job.lease.left() {
            sleep(left).await;
        }
        self.halt.cancel();
        std::future::pending::<()>().await;
    }

    pub(super) async fn step(&self, step: Step) -> Done {
        if self.halt.is_cancelled() {
            return Done::NotBegun;
        }
        match step {
            Step::Post(address) => self.post(&address).await,
            Step::Update(card) => self.update(&card).await,
        }
    }

    /// Keeps a person with a card from getting a second one under another address.
    pub(super) async fn take_conversations_of(&self, cards: &[Posted]) {
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
