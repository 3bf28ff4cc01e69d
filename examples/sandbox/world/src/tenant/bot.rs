//! The Bot connector: messages in conversations.

use serde_json::Value;
use serde_json::json;

use crate::now;
use crate::tenant::call::{Asked, Reply};
use crate::tenant::state::{Card, Text, World};
use crate::tenant::{places, thread};

/// Largest body, in bytes of UTF-16.
const LARGEST: usize = 100_000;

pub(super) fn answer(world: &mut World, asked: &Asked) -> Reply {
    if !world.accepts(asked.header("authorization"), world.options.cloud.bot_scope()) {
        return Reply::ok(
            401,
            json!({"message": "Authorization has been denied for this request."}),
        );
    }
    let segments: Vec<_> = asked.segments.iter().map(String::as_str).collect();
    let Some(segments) = below_base(world, &segments) else {
        return Reply::error(404, "BadArgument", "No such path");
    };
    if let ["conversations"] = segments {
        return create(world, asked);
    }
    let ["conversations", conversation, "activities", rest @ ..] = segments else {
        return Reply::error(404, "BadArgument", "No such path");
    };
    let root = conversation.split_once(";messageid=").map(|(_, root)| root.to_owned());
    let conversation = &world.canonical(conversation);
    let activity = match check(asked) {
        Ok(activity) => activity,
        Err(reply) => return reply,
    };
    if world.faults.enforce_limits && !world.limits.take(conversation) {
        return Reply {
            retry_after: Some(1.to_string()),
            ..Reply::error(429, "Throttled", "Too many requests")
        };
    }
    if let Err(reply) = open(world, conversation) {
        return reply;
    }
    match (asked.method.as_str(), rest) {
        ("POST", []) if root.is_some() => thread::post(world, conversation, &root.unwrap_or_default(), activity),
        ("PUT", [id]) if thread::has(world, conversation, id) => thread::put(world, conversation, id, activity),
        ("POST", []) => post(world, conversation, activity),
        ("PUT", [id]) => put(world, conversation, id, activity),
        _ => Reply::error(405, "BadArgument", "No such method"),
    }
}

/// Returns the segments behind `v3`, if the connector is served below the path before it.
fn below_base<'a>(world: &World, segments: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let version = segments.iter().position(|segment| *segment == "v3")?;
    let base = segments.get(1..version)?.join("/");
    world
        .bot_paths
        .contains(&base)
        .then(|| segments.get(version + 1..))
        .flatten()
}

/// Opens the app's chat with a user, which is the same one each time.
///
/// Source: Microsoft's page on proactive messages. Only an object id or a bot's id of the user is accepted, and only
/// where the app is installed.
fn create(world: &mut World, asked: &Asked) -> Reply {
    let Some(body) = asked.json().filter(|_| asked.method == "POST") else {
        return Reply::error(400, "BadSyntax", "The body is not JSON");
    };
    let options = &world.options;
    let is_ours = body["bot"]["id"] == format!("28:{}", options.app_id).as_str()
        && body["isGroup"] == false
        && body["tenantId"] == options.tenant_id.as_str()
        && body["channelData"]["tenant"]["id"] == options.tenant_id.as_str();
    let members = body["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [member] = members else {
        return Reply::error(400, "BadSyntax", "Bot-only conversation");
    };
    let member = member["id"].as_str().unwrap_or_default();
    let Some(account) = world.accounts.iter().find(|account| account.user.id == member) else {
        return Reply::error(400, "BadArgument", "Invalid user identity in provided tenant");
    };
    let chat = account.chat_for_bots();
    if !is_ours {
        return Reply::error(400, "BadArgument", "Unknown bot or tenant");
    }
    if account.installation.is_none() || world.faults.no_chats_by_bots {
        let message = "Bot is not installed in user's personal scope";
        return Reply::error(403, "ForbiddenOperationException", message);
    }
    if world.faults.enforce_limits && !world.limits.take(&format!("create {chat}")) {
        return Reply {
            retry_after: Some(1.to_string()),
            ..Reply::error(429, "Throttled", "Too many requests")
        };
    }
    match &world.service_url {
        Some(url) => Reply::ok(201, json!({ "id": chat, "serviceUrl": url })),
        None => Reply::ok(201, json!({ "id": chat })),
    }
}

/// Parses an activity, and rejects what Teams rejects.
fn check(asked: &Asked) -> Result<Value, Reply> {
    let Some(activity) = asked.json() else {
        return Err(Reply::error(400, "BadSyntax", "The body is not JSON"));
    };
    let size = String::from_utf8_lossy(&asked.body).encode_utf16().count() * 2;
    if size > LARGEST {
        return Err(Reply::error(413, "MessageSizeTooBig", "The message is too big"));
    }
    let attachments = activity["attachments"].as_array().map_or(0, Vec::len);
    if attachments > 0 && activity.get("text").is_some() {
        return Err(Reply::error(
            400,
            "BadSyntax",
            "Activity resulted into multiple skype activities",
        ));
    }
    let has_text = activity["text"].as_str().is_some_and(|text| !text.is_empty());
    if activity["type"] != "message" || (attachments != 1 && !has_text) {
        return Err(Reply::error(400, "BadSyntax", "Activity without a message"));
    }
    Ok(activity)
}

/// Checks that the conversation exists and that the app may write there.
fn open(world: &World, conversation: &str) -> Result<(), Reply> {
    if let Some(is_open) = places::is_open(world, conversation) {
        let message = "The bot is not part of the conversation roster";
        let refusal = || Reply::error(403, "BotNotInConversationRoster", message);
        return is_open.then_some(()).ok_or_else(refusal);
    }
    let Some(account) = world.owner_of(conversation) else {
        return Err(Reply::error(404, "ConversationNotFound", "Conversation not found"));
    };
    if account.blocked {
        let message = json!({"subCode": "MessageWritesBlocked", "details": "blocked"}).to_string();
        return Err(Reply::ok(403, json!({"errorCode": 209, "message": message})));
    }
    if account.installation.is_none() {
        return Err(Reply::error(
            403,
            "BadArgument",
            "Bot is not installed in user's personal scope",
        ));
    }
    Ok(())
}

pub(super) fn post(world: &mut World, conversation: &str, activity: Value) -> Reply {
    world.activities += 1;
    if let Some(text) = activity["text"].as_str() {
        let texts = world.texts.entry(conversation.to_owned()).or_default();
        let id = world.activities.to_string();
        texts.push(Text {
            id: id.clone(),
            at: now(),
            text: text.to_owned(),
        });
        return Reply::ok(201, json!({ "id": id }));
    }
    let cards = world.chats.entry(conversation.to_owned()).or_default();
    let id = if world.faults.same_activity_ids {
        (1_700_000_000_000 + cards.len()).to_string()
    } else {
        world.activities.to_string()
    };
    cards.push(Card {
        conversation: conversation.to_owned(),
        id: id.clone(),
        history: vec![activity],
        times: vec![now()],
        deleted: false,
        confirmed: true,
    });
    Reply::ok(201, json!({"id": id}))
}

fn put(world: &mut World, conversation: &str, id: &str, activity: Value) -> Reply {
    let cards = world.chats.get_mut(conversation).into_iter().flatten();
    let Some(card) = cards.into_iter().find(|card| card.id == id && !card.deleted) else {
        return Reply::error(404, "ActivityNotFoundInConversation", "The activity does not exist");
    };
    card.history.push(activity);
    card.times.push(now());
    Reply::ok(200, json!({"id": id}))
}
