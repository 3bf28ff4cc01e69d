//! Messages to people who wrote to the bot, or whose press took long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::daemon::context::Context;
use crate::daemon::courier::Courier;
use crate::domain::recipients::Address;
use crate::msteams::inbound::Press;
use crate::msteams::{Activity, Priority, Urgency};

/// What people are answered who write to the bot. It reads nothing.
const INTRODUCTION: &str = "This app posts Teleport Access Requests and does not read messages. Use the buttons of a request, or its link to \
     Teleport.";

/// How often one conversation is answered, and how often an installation counts.
const EVERY: Duration = Duration::from_hours(1);

/// The number of conversations that are remembered; further ones are ignored.
const MOST: usize = 10_000;

/// How long a message may take. The person can see the state of the request on the card.
const PATIENCE: Duration = Duration::from_mins(1);

/// The answers to people who wrote to the bot.
#[derive(Debug, Default)]
pub(super) struct Chats(Recent);

/// The conversations in which something has happened within the last hour.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<String, Instant>>);

impl Chats {
    /// Answers a person who wrote to the bot, once an hour.
    pub(super) async fn introduce(&self, conversation: String, context: Arc<Context>) {
        if !self.0.is_first(&conversation) {
            return;
        }
        let priority = Priority::new(Urgency::Announcement, &conversation);
        let courier = Courier::new(&context.teams, &priority, &context.stopping);
        let introduction = Activity::text(INTRODUCTION);
        let sent = courier.post_in(conversation, &introduction);
        if let Ok(Err(undelivered)) = timeout(PATIENCE, sent).await {
            let error = undelivered.into_error().map(|error| error.to_string());
            debug!(error, "Could not answer a message to the bot");
        }
    }
}

impl Recent {
    /// Returns whether it is the first time within an hour, as far as there is room to remember.
    pub(super) fn is_first(&self, conversation: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(conversation).is_some_and(|at| at.elapsed() < EVERY) {
            return false;
        }
        if known.len() >= MOST {
            known.retain(|_, at| at.elapsed() < EVERY);
        }
        let has_room = known.len() < MOST;
        if has_room {
            known.insert(conversation.to_owned(), Instant::now());
        }
        has_room
    }
}

/// Sends the result of a press to the person alone, in the app's chat with them.
pub(super) async fn notify(press: &Press, text: &str, context: &Context) {
    let activity = Activity::text(text);
    let priority = Priority::new(Urgency::Resolution, &press.request);
    let courier = Courier::new(&context.teams, &priority, &context.stopping);
    let send = async {
        let address = Address::parse(&press.person.object_id).ok();
        let Some(address) = address.filter(Address::is_person) else {
            return Ok(());
        };
        let conversation = courier.find(&address).await?;
        courier.post(&address, conversation, &activity).await.map(|_| ())
    };
    let error = match timeout(PATIENCE, Box::pin(send)).await {
        Ok(Ok(())) => return,
        Ok(Err(undelivered)) => undelivered.into_error().map(|error| error.to_string()),
        Err(_) => Some("Microsoft did not answer in time".to_owned()),
    };
    warn!(
        request.id = press.request,
        person = press.person.object_id,
        error,
        "Could not send the result of a review to the person who pressed the button"
    );
}
