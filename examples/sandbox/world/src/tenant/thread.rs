//! Threads: replies to messages in channels.

use serde_json::{Value, json};

use crate::now;
use crate::tenant::call::Reply;
use crate::tenant::state::{Card, World};
use crate::tenant::{Tenant, bot};

/// Posts a reply. Only the first message of a thread in a channel has replies.
pub(super) fn post(world: &mut World, conversation: &str, root: &str, activity: Value) -> Reply {
    let is_channel = world
        .teams
        .iter()
        .any(|team| team.channels.iter().any(|(thread, _)| thread == conversation));
    let cards = world.chats.get(conversation).into_iter().flatten();
    let mut texts = world.texts.get(conversation).into_iter().flatten();
    let has_card = cards.into_iter().any(|card| card.id == root && !card.deleted);
    if !is_channel || !(has_card || texts.any(|text| text.id == root)) {
        return Reply::error(404, "ConversationNotFound", "Conversation not found");
    }
    if activity["text"].is_string() {
        return bot::post(world, conversation, activity);
    }
    world.activities += 1;
    let id = world.activities.to_string();
    let thread = (conversation.to_owned(), root.to_owned());
    world.threads.entry(thread).or_default().push(Card {
        conversation: format!("{conversation};messageid={root}"),
        id: id.clone(),
        history: vec![activity],
        times: vec![now()],
        deleted: false,
        confirmed: true,
    });
    Reply::ok(201, json!({ "id": id }))
}

/// Returns whether a message is a reply.
pub(super) fn has(world: &mut World, conversation: &str, id: &str) -> bool {
    find(world, conversation, id).is_some()
}

/// Updates a reply.
pub(super) fn put(world: &mut World, conversation: &str, id: &str, activity: Value) -> Reply {
    let Some(reply) = find(world, conversation, id).filter(|reply| !reply.deleted) else {
        return Reply::error(404, "ActivityNotFoundInConversation", "The activity does not exist");
    };
    reply.history.push(activity);
    reply.times.push(now());
    Reply::ok(200, json!({ "id": id }))
}

fn find<'a>(world: &'a mut World, conversation: &str, id: &str) -> Option<&'a mut Card> {
    let threads = world.threads.iter_mut();
    let here = threads.filter(|((channel, _), _)| channel == conversation);
    here.flat_map(|(_, replies)| replies).find(|reply| reply.id == id)
}

impl Tenant {
    /// Returns the replies to a card in a channel, in order.
    pub fn replies(&self, card: &Card) -> Vec<Card> {
        self.change_quietly(|world| {
            let thread = (card.conversation.clone(), card.id.clone());
            world.threads.get(&thread).cloned().unwrap_or_default()
        })
    }

    /// Returns every reply.
    pub fn all_replies(&self) -> Vec<Card> {
        self.change_quietly(|world| world.threads.values().flatten().cloned().collect())
    }
}
