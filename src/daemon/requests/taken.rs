//! Which conversations have a card of a request, so that a person with two addresses gets one.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::OnceCell;

use crate::daemon::context::Context;
use crate::domain::lifecycle::{Audience, Posted, Target};
use crate::domain::recipients::Person;
use crate::msteams::{Priority, Teams, members_of};

/// A conversation, or the object ID of a person, and the audience of its card.
pub(super) type Destination = (Audience, String);

/// Returns the destinations of a card. One conversation, and one person, is asked once to review a request. Graph and the
/// connector name the chat with a person differently, so the object ID counts too.
pub(super) fn destinations(audience: Audience, conversation: &str, person: Option<&Person>) -> Vec<Destination> {
    let audience = match audience {
        Audience::Reviewers | Audience::Escalation => Audience::Reviewers,
        Audience::Requester | Audience::Decision => audience,
    };
    let person = person.map(|person| person.id.as_str());
    let names = [conversation].into_iter().chain(person);
    names.map(|name| (audience, name.to_ascii_lowercase())).collect()
}

/// Returns the destinations of a recorded card. Graph's names of chats contain the person's object ID, and that of the app, which
/// is no person's.
pub(super) fn recorded_destinations(card: &Posted) -> Vec<Destination> {
    let Some(conversation) = card.conversation.as_deref() else {
        return Vec::new();
    };
    let names = [conversation].into_iter().chain(members_of(conversation));
    names
        .flat_map(|name| destinations(card.recipient.audience, name, None))
        .collect()
}

/// The conversations that have or will have a card of the request. It lives as long as the claim.
pub(super) struct Taken {
    conversations: Mutex<HashSet<Destination>>,
    /// Targets with a card of the Go plugin, which does not record conversations.
    unknown: Vec<Target>,
    found: OnceCell<()>,
    /// Targets with a card in a chat whose ID does not show the person.
    opaque: Vec<Target>,
    identified: OnceCell<()>,
}

impl Taken {
    pub(super) fn new(cards: &[Posted]) -> Self {
        let known = cards.iter().flat_map(recorded_destinations);
        let unknown = cards.iter().filter(|card| card.conversation.is_none());
        let opaque = cards.iter().filter(|card| !shows_person(card.conversation.as_deref()));
        let opaque = opaque.filter_map(Posted::target);
        Self {
            conversations: Mutex::new(known.collect()),
            unknown: unknown.filter_map(Posted::target).collect(),
            found: OnceCell::new(),
            opaque: opaque.filter(|target| target.address.is_person()).collect(),
            identified: OnceCell::new(),
        }
    }

    /// Looks up what must be known before a card is posted to a conversation. If a look-up fails, the recipient may get a
    /// second card.
    pub(super) async fn find(&self, conversation: &str, context: &Context, priority: &Priority) {
        let conversations = async || {
            let look_up = |target| conversation_of(context.teams.clone(), target, priority.clone());
            self.extend(self.unknown.iter().cloned().map(look_up).collect()).await;
        };
        self.found.get_or_init(conversations).await;
        // Graph's ID is used where the connector refuses a person, who may have a card in a chat that it opened before.
        if shows_person(Some(conversation)) {
            let people = async || {
                let look_up = |target| person_of(context.teams.clone(), target, priority.clone());
                self.extend(self.opaque.iter().cloned().map(look_up).collect()).await;
            };
            self.identified.get_or_init(people).await;
        }
    }

    async fn extend(&self, mut look_ups: FuturesUnordered<impl Future<Output = Option<Vec<Destination>>>>) {
        while let Some(found) = look_ups.next().await {
            self.lock().extend(found.into_iter().flatten());
        }
    }

    /// Takes the destinations of a card, unless another card has one of them.
    pub(super) fn take(&self, destinations: &[Destination]) -> bool {
        let mut taken = self.lock();
        let is_free = !destinations.iter().any(|destination| taken.contains(destination));
        if is_free {
            taken.extend(destinations.iter().cloned());
        }
        is_free
    }

    pub(super) fn give_back(&self, destinations: &[Destination]) {
        let mut taken = self.lock();
        for destination in destinations {
            taken.remove(destination);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Destination>> {
        self.conversations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the ID of a conversation contains the object ID of the person.
fn shows_person(conversation: Option<&str>) -> bool {
    conversation.is_some_and(|id| members_of(id).next().is_some())
}

async fn conversation_of(teams: Teams, target: Target, priority: Priority) -> Option<Vec<Destination>> {
    let conversation = teams.resolve(&target.address, &priority).await.ok()?;
    Some(destinations(
        target.audience,
        &conversation.id,
        conversation.person.as_ref(),
    ))
}

async fn person_of(teams: Teams, target: Target, priority: Priority) -> Option<Vec<Destination>> {
    let person = teams.person(&target.address, &priority).await.ok()??;
    Some(destinations(target.audience, &person.id, None))
}
