//! Which conversations have a card of a request, so that a person with two addresses gets one.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::OnceCell;

use crate::daemon::context::Context;
use crate::domain::lifecycle::{Audience, Posted, Target};
use crate::msteams::{Priority, Teams};

/// A conversation and the audience of its card.
pub(super) type Place = (Audience, String);

/// Returns the place of a card. One conversation is asked once to review a request.
pub(super) fn place(audience: Audience, conversation: &str) -> Place {
    let audience = match audience {
        Audience::Reviewers | Audience::Escalation => Audience::Reviewers,
        Audience::Requester | Audience::Decision => audience,
    };
    (audience, conversation.to_owned())
}

/// The conversations that have or will have a card of the request. It lives as long as the claim.
pub(super) struct Taken {
    conversations: Mutex<HashSet<Place>>,
    /// Targets with a card of the Go plugin, which does not record conversations.
    unknown: Vec<Target>,
    found: OnceCell<()>,
}

impl Taken {
    pub(super) fn new(cards: &[Posted]) -> Self {
        let of_card = |card: &Posted| Some(place(card.recipient.audience, card.conversation.as_deref()?));
        let known = cards.iter().filter_map(of_card);
        let unknown = cards.iter().filter(|card| card.conversation.is_none());
        Self {
            conversations: Mutex::new(known.collect()),
            unknown: unknown.filter_map(Posted::target).collect(),
            found: OnceCell::new(),
        }
    }

    /// Looks up the unknown conversations. If a look-up fails, the recipient may get a second card.
    pub(super) async fn find(&self, context: &Context, priority: &Priority) {
        let find = async || {
            let look_ups = self.unknown.iter().cloned();
            let mut look_ups: FuturesUnordered<_> = look_ups
                .map(|target| look_up(context.teams.clone(), target, priority.clone()))
                .collect();
            while let Some(found) = look_ups.next().await {
                self.lock().extend(found);
            }
        };
        self.found.get_or_init(find).await;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashSet<Place>> {
        self.conversations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(teams: Teams, target: Target, priority: Priority) -> Option<Place> {
    let conversation = teams.resolve(&target.address, &priority).await.ok()?;
    Some(place(target.audience, &conversation.id))
}
