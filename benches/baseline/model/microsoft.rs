//! Calls to Microsoft. The model retries a call while Microsoft is busy, and for no other reason.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use teleport_msteams::config::MicrosoftSettings;
use teleport_msteams::domain::card::Card;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::model::pauses::Pauses;

/// One attempt of a call.
const PATIENCE: Duration = Duration::from_secs(30);

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The model does not use a token in its last minute.
const SPARE: Duration = Duration::from_mins(1);

/// The request that is sent on a retry after Microsoft answered that it is busy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Only the headers, as observed with the plugin's HTTP library over HTTP/2: the first attempt consumed the body.
    /// Microsoft rejects such a request permanently.
    WithoutBody,
    /// The complete request. The plugin does not do this; it shows the cost of that bug alone.
    Whole,
}

pub(crate) struct Microsoft {
    http: Client,
    settings: MicrosoftSettings,
    repeat: Repeat,
    tokens: Mutex<HashMap<String, (String, Instant)>>,
    /// The ID of the app in the catalog.
    app: Mutex<String>,
    /// Conversations by recipient as in the configuration.
    known: Mutex<HashMap<String, Place>>,
}

/// The conversation of a recipient.
#[derive(Clone)]
struct Place {
    conversation: String,
    installation: String,
}

/// A call that can be retried.
struct Call<'a> {
    method: Method,
    url: String,
    query: &'a [(&'a str, String)],
    scope: &'a str,
    body: Option<String>,
    expected: StatusCode,
}

impl Microsoft {
    pub(crate) fn new(settings: MicrosoftSettings, repeat: Repeat) -> anyhow::Result<Self> {
        // The client wants one, and an error says that there is one.
        rustls::crypto::ring::default_provider().install_default().ok();
        Ok(Self {
            http: Client::builder().timeout(PATIENCE).build()?,
            settings,
            repeat,
            tokens: Mutex::default(),
            app: Mutex::default(),
            known: Mutex::default(),
        })
    }

    /// Returns the number of recipients looked up.
    pub(crate) fn known(&self) -> usize {
        lock(&self.known).len()
    }

    /// Finds the app in the organisation's catalog.
    pub(crate) async fn find_app(&self) -> anyhow::Result<()> {
        let filter = format!("externalId eq '{}'", self.settings.teams_app_id);
        let found = self.graph("appCatalogs/teamsApps", &[("$filter", filter)]).await?;
        *lock(&self.app) = one(&found)?;
        Ok(())
    }

    /// Finds the conversation of a recipient: the user, the installation of the app, its chat. All recipients have the app.
    pub(crate) async fn resolve(&self, recipient: &str) -> anyhow::Result<()> {
        self.place(recipient).await.map(drop)
    }

    async fn place(&self, recipient: &str) -> anyhow::Result<Place> {
        if let Some(place) = lock(&self.known).get(recipient) {
            return Ok(place.clone());
        }
        let filter = format!("mail eq '{recipient}'");
        let user = one(&self.graph("users", &[("$filter", filter)]).await?)?;
        let apps = format!("users/{user}/teamWork/installedApps");
        let filter = format!("teamsApp/id eq '{}'", lock(&self.app));
        let query = [("$expand", "teamsApp".to_owned()), ("$filter", filter)];
        let installation = one(&self.graph(&apps, &query).await?)?;
        let chat = format!("users/{user}/teamwork/installedApps/{installation}/chat");
        let chat = self.graph(&chat, &[]).await?;
        let place = Place {
            conversation: chat["id"].as_str().context("a chat has an id")?.to_owned(),
            installation,
        };
        lock(&self.known).insert(recipient.to_owned(), place.clone());
        Ok(place)
    }

    /// Posts a card, and returns its ID.
    pub(crate) async fn post(&self, recipient: &str, card: &Card) -> anyhow::Result<String> {
        let posted = self.activity(Method::POST, recipient, "", card, StatusCode::CREATED);
        let id = posted.await?["id"].as_str().map(str::to_owned);
        id.context("a message has an id")
    }

    /// Replaces a card.
    pub(crate) async fn edit(&self, recipient: &str, id: &str, card: &Card) -> anyhow::Result<()> {
        let edited = self.activity(Method::PUT, recipient, id, card, StatusCode::OK);
        edited.await.map(drop)
    }

    async fn activity(
        &self,
        method: Method,
        recipient: &str,
        id: &str,
        card: &Card,
        expected: StatusCode,
    ) -> anyhow::Result<Value> {
        let place = self.place(recipient).await?;
        let message = json!({
            "type": "message",
            "from": {"id": format!("29:{}", place.installation), "name": "TeleBot"},
            "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
        });
        let endpoints = &self.settings.endpoints;
        let path = format!("v3/conversations/{}/activities/{id}", place.conversation);
        let call = Call {
            method,
            url: below(&endpoints.bot, &path),
            query: &[],
            scope: &endpoints.bot_scope,
            body: Some(message.to_string()),
            expected,
        };
        self.call(call).await
    }

    async fn graph(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let endpoints = &self.settings.endpoints;
        let call = Call {
            method: Method::GET,
            url: below(&endpoints.graph, &format!("v1.0/{path}")),
            query,
            scope: &endpoints.graph_scope,
            body: None,
            expected: StatusCode::OK,
        };
        self.call(call).await
    }

    /// Retries until Microsoft is no longer busy, without a limit, and ignores `Retry-After`. A broken connection or any other
    /// unexpected response fails immediately.
    async fn call(&self, mut call: Call<'_>) -> anyhow::Result<Value> {
        let token = self.token(call.scope).await?;
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            let mut request = self.http.request(call.method.clone(), &call.url);
            request = request.query(call.query).bearer_auth(&token);
            request = request.header("content-type", "application/json");
            if let Some(body) = &call.body {
                request = request.body(body.clone());
            }
            let answer = request.send().await?;
            if !is_busy(&answer) {
                ensure!(answer.status() == call.expected, "rejected with {}", answer.status());
                return Ok(answer.json().await?);
            }
            sleep(pauses.next()).await;
            if self.repeat == Repeat::WithoutBody && call.body.is_some() {
                call.body = Some(String::new());
            }
        }
    }

    /// Returns the cached token, or requests one until Microsoft issues it.
    async fn token(&self, scope: &str) -> anyhow::Result<String> {
        let held = lock(&self.tokens).get(scope).cloned();
        if let Some((token, until)) = held
            && Instant::now() < until
        {
            return Ok(token);
        }
        let settings = &self.settings;
        let secret = settings.credential.secrets().first().context("there is a secret")?;
        let url = format!("{}/oauth2/v2.0/token", settings.tenant_id);
        let form = [
            ("client_id", settings.app_id.as_str()),
            ("client_secret", secret.value.expose()),
            ("grant_type", "client_credentials"),
            ("scope", scope),
        ];
        let request = self.http.post(below(&settings.endpoints.login, &url)).form(&form);
        let answer = request.send().await?;
        if !answer.status().is_success() {
            // No trial affects tokens, so the form of these retries does not matter.
            bail!("no token: {}", answer.status());
        }
        let grant: Value = answer.json().await?;
        let token = grant["access_token"]
            .as_str()
            .context("a grant has a token")?
            .to_owned();
        let life = Duration::from_secs(grant["expires_in"].as_u64().unwrap_or_default());
        let until = Instant::now() + life.saturating_sub(SPARE);
        lock(&self.tokens).insert(scope.to_owned(), (token.clone(), until));
        Ok(token)
    }
}

fn is_busy(answer: &Response) -> bool {
    answer.status() == StatusCode::TOO_MANY_REQUESTS || answer.status().is_server_error()
}

/// Returns the ID of the only item of a list.
fn one(list: &Value) -> anyhow::Result<String> {
    match list["value"].as_array().map(Vec::as_slice) {
        Some([one]) => Ok(one["id"].as_str().context("everything has an id")?.to_owned()),
        _ => bail!("expected exactly one item"),
    }
}

fn below(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
