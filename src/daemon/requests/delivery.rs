//! One delivery: posts or updates a card for one recipient, and translates the result into outcomes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::warn;

use crate::daemon::context::Context;
use crate::daemon::courier::{Courier, Placed, Undelivered};
use crate::daemon::requests::drawing::Sheet;
use crate::daemon::requests::job::Known;
use crate::daemon::requests::people::mentioned;
use crate::daemon::requests::taken::{Taken, destinations, recorded_destinations};
use crate::domain::lifecycle::{Change, Outcome, Posted, Recipient, Shown, Step, Target};
use crate::domain::recipients::{Address, Person};
use crate::domain::request::RequestId;
use crate::msteams::{Activity, Error, Meaning, Priority, Urgency};

/// The result of one delivery.
#[derive(Debug)]
pub(super) enum Done {
    /// Outcomes to record, in this order.
    Recorded(Vec<Outcome>),
    /// Microsoft rejected it, or did not confirm it.
    Refused(Vec<Outcome>, Refused),
    /// The recipient has a card under another address, or is the requester.
    Elsewhere(Target),
    /// To be retried.
    Deferred(Deferral),
    /// Not started, because of a newer plan or because the run was halted.
    NotBegun,
}

impl Done {
    /// Returns whether a post created a card, or may have.
    pub(super) fn may_exist(&self) -> bool {
        match self {
            Self::Recorded(_) => true,
            Self::Refused(_, refused) => refused.unconfirmed,
            Self::Elsewhere(_) | Self::Deferred(_) | Self::NotBegun => false,
        }
    }
}

/// A delivery that Microsoft rejected or did not confirm.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) recipient: Recipient,
    pub(super) why: String,
    pub(super) hint: Option<String>,
    /// The card may have been posted: Microsoft did not confirm it.
    pub(super) unconfirmed: bool,
}

/// A delivery that failed and can be retried.
#[derive(Debug)]
pub(super) struct Deferral {
    pub(super) recipient: Recipient,
    /// Microsoft's reason. Without one, the message was missing, which must be confirmed.
    pub(super) error: Option<Error>,
    /// The pause that Microsoft requested.
    pub(super) asked: Option<Duration>,
}

impl Deferral {
    /// Returns the failure if it concerns every call of the service.
    pub(super) fn outage(&self) -> Option<&Error> {
        self.error.as_ref().and_then(|error| outage_of(error, self.asked))
    }

    /// Returns whether the failure concerns only this card, and is neither an outage nor a limit.
    pub(super) fn is_about_the_card(&self) -> bool {
        let limited = self
            .error
            .as_ref()
            .is_some_and(|error| error.meaning() == Meaning::Throttled);
        self.outage().is_none() && self.asked.is_none() && !limited
    }

    /// Gives the delivery up, with the reason of its failure.
    pub(super) fn give_up(&self, recipient: &Recipient) -> Refused {
        let error = self.error.as_ref();
        Refused {
            recipient: recipient.clone(),
            why: error.map_or_else(|| "the message is gone".to_owned(), ToString::to_string),
            hint: error.and_then(Error::hint).map(str::to_owned),
            unconfirmed: false,
        }
    }
}

/// Returns a failure if it concerns every call of the service, and Microsoft `asked` for no pause.
pub(super) fn outage_of(error: &Error, asked: Option<Duration>) -> Option<&Error> {
    Some(error).filter(|error| asked.is_none() && error.is_outage())
}

/// Returns whether Microsoft rejected the content of a card.
fn is_rejected(posted: &Result<Placed, Undelivered>) -> bool {
    match posted {
        Err(Undelivered::Refused(error) | Undelivered::Later(error, _)) => error.meaning() == Meaning::Rejected,
        _ => false,
    }
}

/// The shared state of the deliveries of one plan.
pub(super) struct Round<'a> {
    pub(super) context: &'a Context,
    pub(super) id: &'a RequestId,
    pub(super) sheet: Sheet,
    known: Known,
    pub(super) shown: Shown,
    taken: Arc<Taken>,
    /// Cancelled to stop new deliveries of this plan.
    pub(super) halt: CancellationToken,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        context: &'a Context,
        id: &'a RequestId,
        sheet: Sheet,
        known: &Known,
        shown: Shown,
        taken: &Arc<Taken>,
        halt: CancellationToken,
    ) -> Self {
        Self {
            context,
            id,
            sheet,
            known: known.clone(),
            shown,
            taken: Arc::clone(taken),
            halt,
        }
    }

    /// Delivers a card. `missing` is true if the last update found no message.
    pub(super) async fn deliver(&self, step: Step, missing: bool) -> Done {
        // Each request has a queue, so that one with many recipients does not delay another.
        let priority = Priority::new(urgency(step.change(self.shown)), self.id.as_str());
        match step {
            Step::Post(target) => self.post(&target, &priority).await,
            Step::Update(card) => self.update(&card, &priority, missing).await,
        }
    }

    /// Returns the people that the card of a target mentions.
    async fn mentions(&self, target: &Target) -> Vec<Person> {
        match self.sheet.request() {
            Some(request) if self.sheet.attention().mention && !target.address.is_person() => {
                let patience = self.context.limits.look_up_patience;
                let requester = &self.known.requester;
                mentioned(self.context, request, &self.sheet.named_people(), requester, patience).await
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Draws a card. Only a card that is posted may alert and mention people; an update never does.
    pub(super) fn draw(&self, recipient: &Recipient, mentions: Vec<Person>, alert: bool) -> Activity {
        let message = self.sheet.draw(recipient, mentions);
        Activity::new(&message.card, &message.summary, alert)
    }

    pub(super) fn courier<'c>(&'c self, priority: &'c Priority) -> Courier<'c> {
        Courier::new(&self.context.teams, priority, &self.halt)
    }

    async fn post(&self, target: &Target, priority: &Priority) -> Done {
        let courier = self.courier(priority);
        let conversation = match courier.find(&target.address).await {
            Ok(conversation) => conversation,
            Err(undelivered) => return self.failed(&target.recipient(), undelivered),
        };
        if target.audience.reviews() && self.known.is_requester(&target.address, &self.context.teams) {
            debug!(request.id = %self.id, "Requester is a recipient and is not asked to review their own request");
            return Done::Elsewhere(target.clone());
        }
        tokio::select! {
            () = self.halt.cancelled() => return Done::NotBegun,
            () = self.taken.find(&conversation, self.context, priority) => {}
        }
        let person = self.context.teams.known_person(&target.address);
        let destinations = destinations(target.audience, &conversation, person.as_ref());
        if !self.taken.take(&destinations) {
            return Done::Elsewhere(target.clone());
        }
        let done = self.post_in(target, conversation, priority).await;
        if !matches!(done, Done::Recorded(_)) {
            self.taken.give_back(&destinations);
        }
        done
    }

    /// Posts a card of the request alone.
    pub(super) async fn post_alone(&self, target: &Target, conversation: String, priority: &Priority) -> Done {
        let courier = self.courier(priority);
        let mentions = self.mentions(target).await;
        let is_plain = mentions.is_empty();
        let (recipient, alert) = (target.recipient(), self.sheet.attention().alert);
        let card = self.draw(&recipient, mentions, alert);
        let mut posted = courier.post(&target.address, conversation.clone(), &card).await;
        // Microsoft does not document who can be mentioned, and a card without mentions is better than none.
        if !is_plain && is_rejected(&posted) {
            debug!(request.id = %self.id, "Card with mentions was rejected, posting it without them");
            let card = self.draw(&recipient, Vec::new(), alert);
            posted = courier.post(&target.address, conversation, &card).await;
        }
        self.posted(&recipient, posted, false, false)
    }

    async fn update(&self, card: &Posted, priority: &Priority, missing: bool) -> Done {
        let address = Address::parse(&card.recipient.name);
        let courier = self.courier(priority);
        let conversation = match (&card.conversation, &address) {
            (Some(conversation), _) => conversation.clone(),
            (None, Ok(address)) => match courier.find_as_in_graph(address).await {
                Ok(conversation) => conversation,
                Err(undelivered) => return self.failed(&card.recipient, undelivered),
            },
            (None, Err(reason)) => return self.refused(&card.recipient, reason.clone(), None, false),
        };
        if card.digest {
            return self.update_shared(card, conversation, priority, missing).await;
        }
        let placed = Placed {
            conversation,
            activity: card.activity.clone(),
        };
        let activity = self.draw(&card.recipient, Vec::new(), false);
        let updated = courier.update(address.as_ref().ok(), placed, &activity).await;
        match updated {
            Ok(Placed { conversation, .. }) => Done::Recorded(vec![Outcome::Updated {
                recipient: card.recipient.clone(),
                activity: card.activity.clone(),
                conversation,
                shown: self.shown,
            }]),
            Err(Undelivered::Gone(error, conversation)) if missing => {
                self.replace(courier, card, conversation, &activity, &error).await
            }
            // Microsoft may be behind; a card is given up only if it is missing twice.
            Err(Undelivered::Gone(..)) => Done::Deferred(Deferral {
                recipient: card.recipient.clone(),
                error: None,
                asked: None,
            }),
            Err(undelivered) => self.failed(&card.recipient, undelivered),
        }
    }

    /// Posts a card again whose message was deleted: once, and only while the request is pending.
    pub(super) async fn replace(
        &self,
        courier: Courier<'_>,
        card: &Posted,
        conversation: String,
        activity: &Activity,
        error: &Error,
    ) -> Done {
        let id = self.id;
        let vanished = Outcome::Vanished {
            recipient: card.recipient.clone(),
            activity: card.activity.clone(),
        };
        if !self.shown.stage.is_open() {
            let (recipient, stage) = (shown_as(&card.recipient.name), self.shown.stage);
            warn!(
                request.id = %id, request.stage = %stage, recipient, activity.id = card.activity, %error,
                "Card was deleted; its last update was not delivered"
            );
            return Done::Recorded(vec![vanished]);
        }
        if card.replacement {
            // The record keeps it, so that it is not posted a third time.
            let why = "the message was deleted twice".to_owned();
            return self.refused(&card.recipient, why, None, false);
        }
        let recipient = shown_as(&card.recipient.name);
        warn!(
            request.id = %id, recipient, activity.id = card.activity, %error,
            "Card was deleted, posting it again"
        );
        let posted = courier.post_in(conversation.clone(), activity).await;
        let done = self.posted(&card.recipient, posted, true, false);
        if done.may_exist() {
            self.count_replacement(&card.recipient, &conversation);
        }
        match done {
            Done::Recorded(outcomes) => Done::Recorded([vec![vanished], outcomes].concat()),
            Done::Refused(outcomes, refused) => {
                self.taken
                    .give_back(&destinations(card.recipient.audience, &conversation, None));
                self.taken.give_back(&recorded_destinations(card));
                Done::Refused([vec![vanished], outcomes].concat(), refused)
            }
            // If the post is deferred, the record keeps the old card, and the retry comes here again.
            done => done,
        }
    }

    /// Translates the result of a post. `replacement` is true if the card replaces a deleted one, `digest` if it is shared.
    pub(super) fn posted(
        &self,
        recipient: &Recipient,
        posted: Result<Placed, Undelivered>,
        replacement: bool,
        digest: bool,
    ) -> Done {
        let placed = match posted {
            Ok(placed) => {
                debug!(request.id = %self.id, activity.id = placed.activity, "Successfully posted to MS Teams");
                placed
            }
            Err(Undelivered::Nameless(error, conversation)) => {
                warn!(request.id = %self.id, %error, "Card was posted without an ID and cannot be updated");
                let activity = String::new();
                Placed { conversation, activity }
            }
            Err(undelivered) => return self.failed(recipient, undelivered),
        };
        Done::Recorded(vec![Outcome::Posted {
            recipient: recipient.clone(),
            activity: placed.activity,
            conversation: placed.conversation,
            replacement,
            digest,
            shown: self.shown,
        }])
    }

    /// Translates a failure: rejected, to be retried, or unconfirmed.
    pub(super) fn failed(&self, recipient: &Recipient, undelivered: Undelivered) -> Done {
        let unconfirmed = undelivered.may_have_posted();
        let error = match undelivered {
            Undelivered::NotBegun => return Done::NotBegun,
            Undelivered::Later(error, asked) => {
                return Done::Deferred(Deferral {
                    recipient: recipient.clone(),
                    error: Some(error),
                    asked,
                });
            }
            Undelivered::Refused(error)
            | Undelivered::Gone(error, _)
            | Undelivered::Unconfirmed(error)
            | Undelivered::Nameless(error, _) => error,
        };
        let hint = error.hint().map(str::to_owned);
        self.refused(recipient, error.to_string(), hint, unconfirmed)
    }

    fn refused(&self, recipient: &Recipient, why: String, hint: Option<String>, unconfirmed: bool) -> Done {
        let refused = Refused {
            recipient: recipient.clone(),
            why: why.clone(),
            hint,
            unconfirmed,
        };
        let (recipient, shown) = (recipient.clone(), self.shown);
        let outcome = if unconfirmed {
            Outcome::Unconfirmed { recipient, why, shown }
        } else {
            Outcome::Refused { recipient, why, shown }
        };
        Done::Refused(vec![outcome], refused)
    }
}

/// Returns how urgent the delivery of a change is.
pub(super) fn urgency(change: Change) -> Urgency {
    match change {
        Change::Announcement => Urgency::Announcement,
        Change::Review => Urgency::Review,
        Change::Resolution => Urgency::Resolution,
    }
}

/// Returns a recipient in the form for logs.
pub(super) fn shown_as(recipient: &str) -> String {
    Address::parse(recipient).map_or_else(|_| "(unreadable)".to_owned(), |address| address.to_string())
}
