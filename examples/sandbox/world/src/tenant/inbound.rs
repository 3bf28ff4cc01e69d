//! What Teams sends to the bot: presses of buttons, messages, and news of installations.

use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::reading;
use crate::tenant::state::{Account, World};
use crate::tenant::wire::{self, Answer, NoAnswer};
use crate::tenant::{Card, Tenant, User, button};

/// A request of Teams to the bot, which may still be changed.
#[must_use]
#[derive(Clone)]
pub struct Inbound {
    tenant: Tenant,
    to: Option<String>,
    body: Value,
    claims: Value,
    authorization: Authorization,
    is_press: bool,
}

#[derive(Clone)]
enum Authorization {
    /// A token with the claims.
    Signed,
    /// This header, or none.
    Fixed(Option<String>),
}

/// A fault: Teams sends every press twice.
#[derive(Clone, Debug, Default)]
pub struct Repeat {
    /// Where the second request goes; to the same endpoint if it is `None`.
    pub to: Option<String>,
    /// The second request has another id.
    pub new_id: bool,
    /// How long after the first one; both are sent together by default.
    pub after: Duration,
}

/// A request that was sent, and the answer to it.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub to: String,
    pub body: Value,
    pub answer: Result<Answer, NoAnswer>,
}

impl Tenant {
    /// Sets the address to which Teams sends what happens.
    pub fn set_messaging_endpoint(&self, url: &str) {
        self.change(|world| world.endpoint = Some(url.to_owned()));
    }

    /// Trusts these authorities, in PEM, if the address is one of HTTPS.
    pub fn trust(&self, pem: &str) {
        self.change(|world| pem.clone_into(&mut world.roots));
    }

    /// Presses a button of a card, by its title or verb, after entering texts into inputs of the card.
    ///
    /// # Panics
    /// If the newest version of the card has no such button, or no such input that belongs to it.
    pub fn press(&self, user: &User, card: &Card, button: &str, inputs: &[(&str, &str)]) -> Inbound {
        let press = self.try_press(user, card, button, inputs);
        press.unwrap_or_else(|| panic!("the card has no button {button} with the inputs {inputs:?}: {card:#?}"))
    }

    /// Presses a button of a card; `None` if it has no such button.
    pub fn try_press(&self, user: &User, card: &Card, button: &str, inputs: &[(&str, &str)]) -> Option<Inbound> {
        let shown = card.history.last().map_or(&Value::Null, reading::card_of);
        self.press_on(user, card, shown, button, inputs)
    }

    /// Presses a button of the card that a person sees, which may be one that only they were shown.
    pub fn press_on(
        &self,
        user: &User,
        card: &Card,
        shown: &Value,
        button: &str,
        inputs: &[(&str, &str)],
    ) -> Option<Inbound> {
        let button = button::find(shown, button, inputs)?;
        let mut inbound = self.inbound(user, "invoke", &card.conversation, Some(&card.id));
        inbound.body["replyToId"] = json!(card.id);
        let mut action = json!({"id": "", "data": button.data});
        for name in ["type", "title", "verb", "id"] {
            if let Some(value) = button.action.get(name) {
                action[name] = value.clone();
            }
        }
        if action["type"] == "Action.Submit" {
            return Some(inbound.into_submit(&action["data"]));
        }
        inbound.is_press = true;
        inbound.body["name"] = json!("adaptiveCard/action");
        inbound.body["value"] = json!({"action": action, "trigger": "manual"});
        Some(inbound)
    }

    /// Writes a message to the bot in the chat with it.
    pub fn message(&self, user: &User, text: &str) -> Inbound {
        let mut inbound = self.inbound(user, "message", "", None);
        inbound.body["text"] = json!(text);
        inbound.body["textFormat"] = json!("plain");
        inbound
    }

    /// Reports that a user has installed the app (`add`) or uninstalled it (`remove`).
    pub fn installation(&self, user: &User, action: &str) -> Inbound {
        let mut inbound = self.inbound(user, "installationUpdate", "", None);
        inbound.body["action"] = json!(action);
        inbound
    }

    /// Returns every request that was sent to the bot, with its answer, in the order of the answers.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.change_quietly(|world| world.deliveries.clone())
    }

    /// Begins an activity. In the chat with the bot, `conversation` may be empty.
    fn inbound(&self, user: &User, kind: &str, conversation: &str, root: Option<&str>) -> Inbound {
        let app = &self.options().app_id;
        let tenant = &self.options().tenant_id;
        let service = format!("https://smba.trafficmanager.net/emea/{tenant}/");
        let (conversation, channel_data) = self.change_quietly(|world| place(world, user, conversation, root));
        let now = crate::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let body = json!({
            "type": kind,
            "channelId": "msteams",
            "id": format!("f:{}", Uuid::new_v4()),
            "timestamp": Timestamp::try_from(crate::now()).map(|now| now.to_string()).unwrap_or_default(),
            "locale": "en-US",
            "localTimezone": "Europe/Berlin",
            "serviceUrl": service,
            "from": {"id": format!("29:1{}", user.id.replace('-', "")), "name": user.name, "aadObjectId": user.id},
            "recipient": {"id": format!("28:{app}"), "name": "TeleBot"},
            "conversation": conversation,
            "entities": [{"type": "clientInfo", "locale": "en-US", "country": "US", "platform": "Web"}],
            "channelData": channel_data,
        });
        let claims = json!({
            "serviceurl": service,
            "iss": self.options().cloud.issuer(),
            "aud": app,
            "nbf": now - 60,
            "exp": now + 3_840,
        });
        Inbound {
            tenant: self.clone(),
            to: None,
            body,
            claims,
            authorization: Authorization::Signed,
            is_press: false,
        }
    }

    /// Sends to the bot which installations have changed, if it has an address.
    pub(super) fn report_installations(&self) {
        let news = self.change_quietly(|world| {
            let news = std::mem::take(&mut world.news);
            if world.endpoint.is_some() { news } else { Vec::new() }
        });
        if news.is_empty() {
            return;
        }
        let tenant = self.clone();
        crate::spawn(async move {
            for (user, action) in news {
                // The bot may be down; Teams does not repeat such news.
                let _ = tenant.installation(&user, action).send().await;
            }
        });
    }
}

/// Returns the conversation and its channel data, as the bot sees them.
fn place(world: &World, user: &User, conversation: &str, root: Option<&str>) -> (Value, Value) {
    let tenant = &world.options.tenant_id;
    let mut data = json!({"tenant": {"id": tenant}, "source": {"name": "message"}});
    let has_channel = |(thread, _): &&(String, String)| thread == conversation;
    let found = world.teams.iter().find_map(|team| {
        let (thread, name) = team.channels.iter().find(has_channel)?;
        Some((team, thread, name))
    });
    if let Some((team, thread, name)) = found {
        let general = &team.channels[0].0;
        data["teamsChannelId"] = json!(thread);
        data["teamsTeamId"] = json!(general);
        data["channel"] = json!({"id": thread, "name": name});
        data["team"] = json!({"id": general, "name": team.name, "aadGroupId": team.id});
        let id = root.map_or_else(|| thread.clone(), |root| format!("{thread};messageid={root}"));
        let conversation = json!({"id": id, "isGroup": true, "conversationType": "channel", "tenantId": tenant});
        return (conversation, data);
    }
    let owns = |account: &&Account| account.chat_for_bots() == world.canonical(conversation);
    let owner = world.accounts.iter().find(owns);
    let is_user = |account: &&Account| account.user.id == user.id;
    let owner = owner.or_else(|| world.accounts.iter().find(is_user));
    let id = owner.map_or_else(|| conversation.to_owned(), Account::chat_for_bots);
    let conversation = json!({"id": id, "conversationType": "personal", "tenantId": tenant});
    (conversation, data)
}

impl Inbound {
    /// Sends to another address, such as that of another replica.
    pub fn to(mut self, url: &str) -> Self {
        self.to = Some(url.to_owned());
        self
    }

    /// Sets a field of the body by its path, such as `channelData.tenant.id`; `null` removes it.
    pub fn set(mut self, path: &str, value: Value) -> Self {
        set(&mut self.body, path, value);
        self
    }

    /// Sets a claim of the token; `null` removes it.
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        set(&mut self.claims, name, value);
        self
    }

    /// Sends this header instead of a signed token, or none.
    pub fn authorization(mut self, header: Option<&str>) -> Self {
        self.authorization = Authorization::Fixed(header.map(str::to_owned));
        self
    }

    /// The client asks for a new version of the card by itself.
    pub fn automatic(self) -> Self {
        self.set("value.trigger", json!("automatic"))
    }

    /// An old client presses the button as an `Action.Submit`: it arrives as a message.
    pub fn as_submit(self) -> Self {
        let mut data = self.body["value"]["action"]["data"].clone();
        data["verb"] = self.body["value"]["action"]["verb"].clone();
        self.into_submit(&data)
    }

    fn into_submit(self, data: &Value) -> Self {
        let message = self.set("type", json!("message")).set("name", Value::Null);
        message.set("value", data.clone())
    }

    pub fn body(&self) -> &Value {
        &self.body
    }

    /// Sends it, and once more if Teams repeats presses. Returns the first answer, or the second if there is no first.
    ///
    /// # Errors
    /// There is no address, or no answer.
    pub async fn send(self) -> Result<Answer, NoAnswer> {
        let repeat = self.tenant.change_quietly(|world| world.faults.repeat_presses.clone());
        let Some(repeat) = repeat.filter(|_| self.is_press) else {
            return self.deliver().await;
        };
        let mut second = self.clone();
        second.to = repeat.to.or(second.to);
        if repeat.new_id {
            second.body["id"] = json!(format!("f:{}", Uuid::new_v4()));
        }
        let second = async {
            sleep(repeat.after).await;
            second.deliver().await
        };
        let (first, second) = tokio::join!(self.deliver(), second);
        first.or(second)
    }

    async fn deliver(&self) -> Result<Answer, NoAnswer> {
        let (endpoint, roots, token) = self.tenant.change_quietly(|world| {
            let token = world.keys.token(&self.claims);
            (world.endpoint.clone(), world.roots.clone(), token)
        });
        let authorization = match &self.authorization {
            Authorization::Signed => Some(format!("Bearer {token}")),
            Authorization::Fixed(header) => header.clone(),
        };
        let Some(to) = self.to.clone().or(endpoint) else {
            return Err(NoAnswer("the bot has no address".to_owned()));
        };
        let answer = wire::post(&to, authorization.as_deref(), &self.body, &roots).await;
        let delivery = Delivery {
            to,
            body: self.body.clone(),
            answer: answer.clone(),
        };
        self.tenant.change(|world| world.deliveries.push(delivery));
        answer
    }
}

/// Sets a field by its path; `null` removes it.
fn set(body: &mut Value, path: &str, value: Value) {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut object = body;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        object = &mut object[parent];
    }
    match (object.as_object_mut(), value) {
        (Some(fields), Value::Null) => drop(fields.remove(name)),
        (_, value) => object[name] = value,
    }
}
