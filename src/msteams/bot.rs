//! The Bot connector: posts and updates messages.
//!
//! Architecture Invariant: each call creates at most one message, unless Microsoft answered that it created none. If
//! that is unknown, the error says so, and nothing is repeated.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::MicrosoftSettings;
use crate::msteams::activity::Activity;
use crate::msteams::answer::{Answer, Expects};
use crate::msteams::call_queue::{Key, Priority};
use crate::msteams::conversation::{ChannelOrChat, channel_of};
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::http::{Effect, JSON, Request};
use crate::msteams::pace::PaceLimits;
use crate::msteams::paths::join;
use crate::msteams::send_log::Window;
use crate::msteams::service::Service;
use crate::msteams::service_urls::ServiceUrls;

pub(crate) struct Bot {
    service: Service,
    urls: ServiceUrls,
    app_id: String,
    tenant_id: String,
}

#[derive(Deserialize)]
struct Opened {
    id: String,
    #[serde(default, rename = "serviceUrl")]
    service_url: Option<String>,
}

#[derive(Deserialize)]
struct Posted {
    #[serde(default)]
    id: Option<String>,
}

/// The documented limits on sends, which are assumed to include updates: 50 a second for the app, and four windows for
/// each conversation. Each window is taken 4 % longer, because sends arrive less evenly than they leave.
pub(crate) fn pace() -> PaceLimits {
    let window = |sends, seconds: u64| Window {
        sends,
        within: Duration::from_millis(seconds * 1_040),
    };
    PaceLimits {
        overall: window(50, 1),
        // Spreads a burst of 50 over a fifth of a second.
        gap: Duration::from_millis(4),
        // Enough for 50 a second while answers take at most 1.3 s. Calls that take longer stop counting.
        in_flight: 64,
        reserve: 0,
        per_key: vec![window(7, 1), window(8, 2), window(60, 30), window(1_800, 3_600)],
        // Two in flight hide the round trip; a conversation that does not answer blocks only these.
        in_flight_per_key: 2,
    }
}

/// Returns what the limits of a conversation count for: replies in a thread count for its channel.
fn pace_key(conversation: &str) -> Key {
    Arc::from(channel_of(conversation))
}

impl Bot {
    pub(crate) fn new(service: Service, settings: &MicrosoftSettings) -> Self {
        Self {
            service,
            urls: ServiceUrls::new(&settings.endpoints.bot),
            app_id: settings.app_id.clone(),
            tenant_id: settings.tenant_id.clone(),
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// Uses the address of the connector that Microsoft named for a conversation, if it is on the configured host.
    pub(crate) fn learn_url(&self, conversation: &str, stated: &str) {
        self.urls.learn(conversation, stated);
    }

    /// Forgets a learned address after a failure that it may have caused, and returns whether it was one. The next call uses
    /// the configured one.
    fn doubt_url(&self, conversation: &str, used: &Url, error: &Error) -> bool {
        use Meaning::{BotNotInstalled, Credentials, Denied, Gone, NotFound, Protocol, Rejected, Unreachable};
        match error.meaning() {
            BotNotInstalled | Credentials | Denied | Gone | NotFound | Protocol | Rejected | Unreachable => {
                self.urls.forget(conversation, used)
            }
            _ => false,
        }
    }

    /// Calls the address of a conversation. Its answer that the message or the app is missing leads to a new card or a new
    /// look-up, so that of a learned address counts only if the configured one gives it too.
    async fn call(
        &self,
        mut request: Request,
        conversation: &str,
        path: &[&str],
        priority: &Priority,
        stop: &CancellationToken,
    ) -> Result<Answer, Error> {
        let key = pace_key(conversation);
        let mut url = self.urls.of(conversation);
        loop {
            request.url = join(&url, path, None);
            let error = match self.service.call(&request, priority.caller(&key), stop).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let was_learned = self.doubt_url(conversation, &url, &error);
            let is_missing = matches!(error.meaning(), Meaning::Gone | Meaning::BotNotInstalled);
            if !was_learned || !is_missing {
                return Err(located(error, conversation));
            }
            url = self.urls.configured().clone();
        }
    }

    /// Opens the app's chat with a user who has the app, by the object id, and returns the chat's id. No message is sent,
    /// and the chat is the same one each time.
    ///
    /// Source: `bots/how-to/conversations/send-proactive-messages.md` in MicrosoftDocs/msteams-docs; the body is the one
    /// that Microsoft's own clients send.
    pub(crate) async fn open_chat(&self, user: &str, priority: &Priority) -> Result<String, Error> {
        let Self { app_id, tenant_id, .. } = self;
        let body = json!({
            "isGroup": false,
            "bot": {"id": format!("28:{app_id}")},
            "members": [{"id": user}],
            "tenantId": tenant_id,
            "channelData": {"tenant": {"id": tenant_id}},
        });
        let request = Request {
            operation: Operation::OpenChat,
            method: Method::POST,
            url: self.service.url(&["v3", "conversations"], None),
            body: Some((JSON, Bytes::from(body.to_string()))),
            effect: Effect::Idempotent,
            expects: Expects::Object,
        };
        // The limits of a conversation apply, whose id is not known yet.
        let key = Key::from(user);
        let answer = self
            .service
            .call(&request, priority.caller(&key), &CancellationToken::new())
            .await?;
        let Opened { id, service_url } = answer.json()?;
        if id.is_empty() {
            let error = Error::new(Operation::OpenChat, Meaning::Protocol, Retry::Later(None));
            return Err(error.detail("the chat has no ID"));
        }
        if let Some(url) = service_url {
            self.urls.learn(&id, &url);
        }
        Ok(id)
    }

    /// Posts a message and returns its id.
    pub(crate) async fn post(
        &self,
        conversation: &str,
        activity: &Activity,
        priority: &Priority,
        stop: &CancellationToken,
    ) -> Result<String, Error> {
        let request = Request {
            operation: Operation::Post,
            method: Method::POST,
            url: self.urls.configured().clone(),
            body: Some((JSON, activity.body())),
            effect: Effect::CreatesMessage,
            expects: Expects::Message,
        };
        let path = ["v3", "conversations", conversation, "activities"];
        let answer = self.call(request, conversation, &path, priority, stop).await?;
        let id = answer.json::<Posted>().ok().and_then(|posted| posted.id);
        id.filter(|id| !id.is_empty())
            .ok_or_else(|| Error::new(Operation::Post, Meaning::Delivered, Retry::Never).about(conversation))
    }

    /// Replaces a message.
    pub(crate) async fn update(
        &self,
        conversation: &str,
        id: &str,
        activity: &Activity,
        priority: &Priority,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let request = Request {
            operation: Operation::Update,
            method: Method::PUT,
            url: self.urls.configured().clone(),
            body: Some((JSON, activity.body())),
            effect: Effect::Idempotent,
            expects: Expects::Edit,
        };
        let path = ["v3", "conversations", conversation, "activities", id];
        let answer = self.call(request, conversation, &path, priority, stop).await;
        answer.map(|_| ())
    }
}

/// Adds the conversation to an error and, where others than one person read it, what to do if it does not have the app. A
/// team may have the app and a private channel of it not.
fn located(error: Error, conversation: &str) -> Error {
    let error = error.about(conversation);
    let is_missing = matches!(error.meaning(), Meaning::BotNotInstalled | Meaning::NotFound);
    let kind = is_missing.then(|| ChannelOrChat::of(conversation)).flatten();
    let (absent, hint) = match kind {
        None => return error,
        Some(ChannelOrChat::Channel) => (
            "the app is not in the channel",
            hint!(
                "Add the app to the team of the channel (Manage team, Apps) and, if the channel is private or shared, to the channel (Manage channel, Apps)"
            ),
        ),
        Some(ChannelOrChat::Chat) => (
            "the app is not in the chat",
            hint!("Add the app to the chat: open the chat in Teams, and add it under Apps"),
        ),
    };
    match error.meaning() {
        Meaning::BotNotInstalled => error.detail(absent).with_hint(Some(hint)),
        _ => error.with_hint(Some(hint)),
    }
}
