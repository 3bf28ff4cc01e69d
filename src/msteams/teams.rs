//! The handle on Microsoft Teams.
//!
//! Architecture Invariant: adds nothing to what it is made of but the wiring.

use std::convert::Infallible;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::{Limits, MicrosoftSettings};
use crate::domain::recipients::Address;
use crate::msteams::activity::Activity;
use crate::msteams::bot::{self, Bot};
use crate::msteams::error::Error;
use crate::msteams::graph::{self, CatalogApp, Graph};
use crate::msteams::happening::{Endpoint, Observer};
use crate::msteams::http::Http;
use crate::msteams::line::Urgency;
use crate::msteams::resolver::{Conversation, Place, Resolver};
use crate::msteams::service::Service;
use crate::msteams::token::{ClientSecret, Token};
use crate::pulse::Pulse;
use crate::secret::Secret;

/// Finds people and channels, and posts and updates cards there; cheap to clone.
#[derive(Clone)]
pub struct Teams(Arc<Parts>);

struct Parts {
    client: Arc<ClientSecret>,
    resolver: Resolver,
    bot: Bot,
}

impl Teams {
    /// Sets up everything; nothing is sent yet.
    pub fn new(settings: &MicrosoftSettings, limits: &Limits) -> Result<Self, Error> {
        Self::observed(settings, limits, Observer::nobody())
    }

    /// Does the same, and tells an observer of everything that happens.
    pub fn observed(settings: &MicrosoftSettings, limits: &Limits, observer: Observer) -> Result<Self, Error> {
        let http = Http::new(limits, observer)?;
        let endpoints = &settings.endpoints;
        let client = Arc::new(ClientSecret::new(settings.app_secret.value.clone()));
        let token = Token::new(&http, settings, &client, Endpoint::Graph);
        let graph = Service::new(&http, &endpoints.graph, token, graph::pace(), limits);
        let token = Token::new(&http, settings, &client, Endpoint::Bot);
        let bot = Service::new(&http, &endpoints.bot, token, bot::pace(), limits);
        Ok(Self(Arc::new(Parts {
            client,
            resolver: Resolver::new(Graph::new(graph, limits), &settings.teams_app_id),
            bot: Bot::new(bot),
        })))
    }

    /// Finds the app in the organisation's catalog, and remembers it.
    pub async fn find_app(&self) -> Result<CatalogApp, Error> {
        self.0.resolver.app().await
    }

    /// Finds the conversation of an address, and remembers it; installs the app for a user who does not have it.
    pub async fn resolve(&self, address: &Address) -> Result<Conversation, Error> {
        self.0.resolver.resolve(address).await
    }

    /// Finds the id of the user at an address; a channel has none.
    pub async fn find_user(&self, address: &Address) -> Result<Option<String>, Error> {
        let user = self.0.resolver.user(address).await;
        user.map_err(|error| error.about(address))
    }

    /// Finds where an address is told, step by step and without remembering; installs the app for a user who does not have
    /// it. `user` is what [`find_user`](Self::find_user) returned.
    pub async fn find_place(&self, address: &Address, user: Option<&str>) -> Result<Place, Error> {
        let app = self.find_app().await?;
        let place = self.0.resolver.place(address, user, &app).await;
        place.map_err(|error| error.about(address))
    }

    /// Tells whether an address could be told at once, and changes nothing: whether a user has the app, or a team.
    pub async fn has_app(&self, address: &Address, user: Option<&str>) -> Result<bool, Error> {
        let app = self.find_app().await?;
        let graph = self.0.resolver.graph();
        let found = match (address.channel(), user) {
            (Some(channel), _) => graph.installation_in_team(&channel.team, &app).await.map(Some),
            (None, user) => graph.installation(user.unwrap_or(address.as_str()), &app).await,
        };
        found.map(|found| found.is_some()).map_err(|error| error.about(address))
    }

    /// Takes the app away from a user; tells whether they had it.
    pub async fn uninstall(&self, address: &Address, user: &str) -> Result<bool, Error> {
        let app = self.find_app().await?;
        let removed = self.0.resolver.graph().uninstall(user, &app).await;
        removed.map_err(|error| error.about(address))
    }

    /// Returns the version of the app that the catalog shows, if it says so.
    pub async fn published_version(&self) -> Result<Option<String>, Error> {
        let resolver = &self.0.resolver;
        resolver.graph().published_version(resolver.teams_app_id()).await
    }

    /// Returns the application permissions that the token for Graph carries; `None` if the token does not say.
    ///
    /// Microsoft calls its tokens opaque: this is for telling people what may be wrong, not for deciding anything.
    pub async fn granted_permissions(&self) -> Result<Option<Vec<String>>, Error> {
        self.0.resolver.graph().service().token().roles().await
    }

    /// Tells whether there are tokens for both services that are good for now.
    pub fn holds_tokens(&self) -> bool {
        let graph = self.0.resolver.graph().service().token();
        graph.is_held() && self.0.bot.service().token().is_held()
    }

    /// Tells how many requests to a service wait for their turn under Microsoft's limits.
    pub fn waiting(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            // Logins are few, and have no line.
            Endpoint::Login => 0,
            Endpoint::Graph => self.0.resolver.graph().service().waiting(),
            Endpoint::Bot => self.0.bot.service().waiting(),
        }
    }

    /// Puts another secret of the app in force, and proves it by asking for tokens with it. Tokens that are at hand serve on.
    pub async fn replace_secret(&self, secret: Secret) -> Result<(), Error> {
        self.0.client.replace(secret);
        let graph = self.0.resolver.graph().service().token();
        tokio::try_join!(graph.prove(), self.0.bot.service().token().prove())?;
        Ok(())
    }

    /// Waits until a token was had again after failures.
    pub async fn recovered(&self) {
        self.0.client.recovered().await;
    }

    /// Gets a token for the Bot connector, if none is at hand.
    pub async fn check_bot_token(&self) -> Result<(), Error> {
        self.0.bot.service().token().get().await.map(|_| ())
    }

    /// Forgets the conversation of an address, because it turned out to be wrong.
    pub fn forget(&self, address: &Address) {
        self.0.resolver.forget(address);
    }

    /// Posts a card and returns the id under which it can be updated.
    ///
    /// With [`Meaning::Delivered`](crate::msteams::Meaning::Delivered) the card is there, but its id is not known.
    ///
    /// Once `stop` is cancelled nothing more is begun, and what has begun is finished; dropping the call instead would leave
    /// open whether the card is there.
    pub async fn post(
        &self,
        conversation: &str,
        activity: &Activity,
        urgency: Urgency,
        stop: &CancellationToken,
    ) -> Result<String, Error> {
        self.0.bot.post(conversation, activity, urgency, stop).await
    }

    /// Replaces a card.
    pub async fn update(
        &self,
        conversation: &str,
        activity_id: &str,
        activity: &Activity,
        urgency: Urgency,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.0
            .bot
            .update(conversation, activity_id, activity, urgency, stop)
            .await
    }

    /// Keeps fresh tokens at hand, for ever.
    pub async fn renew_tokens(&self, for_graph: &Pulse, for_bot: &Pulse) -> Infallible {
        let graph = self.0.resolver.graph().service().token().keep(for_graph);
        let bot = self.0.bot.service().token().keep(for_bot);
        tokio::join!(graph, bot).0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use axum::Router;
    use axum::extract::{Request, State};
    use axum::http::StatusCode;
    use axum::http::header::AUTHORIZATION;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{AppSecret, Endpoints};
    use crate::msteams::{Meaning, Retry};

    /// Answers to calls of the services in turn, and what was called: method, path with query, token.
    #[derive(Clone, Default)]
    struct Script {
        answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
        calls: Arc<Mutex<Vec<String>>>,
    }

    async fn answer(State(script): State<Script>, request: Request) -> (StatusCode, String) {
        let mut calls = script.calls.lock().unwrap();
        let token = request
            .headers()
            .get(AUTHORIZATION)
            .map(|value| value.to_str().unwrap());
        calls.push(format!(
            "{} {} {}",
            request.method(),
            request.uri(),
            token.unwrap_or("-")
        ));
        if request.uri().path().ends_with("/token") {
            let grant = json!({"access_token": format!("t{}", calls.len()), "expires_in": 3599});
            return (StatusCode::OK, grant.to_string());
        }
        let (status, body) = script.answers.lock().unwrap().remove(0);
        (StatusCode::from_u16(status).unwrap(), body.to_owned())
    }

    /// Runs a test against a server that answers so, and returns the calls it got.
    async fn with_server(answers: &[(u16, &'static str)], test: impl AsyncFnOnce(Teams)) -> Vec<String> {
        let script = Script::default();
        *script.answers.lock().unwrap() = answers.to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let url = |path| format!("{base}/{path}").parse().unwrap();
        let settings = MicrosoftSettings {
            app_id: "app".to_owned(),
            app_secret: AppSecret {
                value: Secret::new("s&cret"),
                file: None,
            },
            tenant_id: "tenant".to_owned(),
            teams_app_id: "manifest".to_owned(),
            endpoints: Endpoints {
                login: url("login"),
                graph: url("graph"),
                bot: url("bot/teams/"),
                graph_scope: "graph".to_owned(),
                bot_scope: "bot".to_owned(),
            },
        };
        let limits = Limits {
            microsoft_first_pause: Duration::from_millis(1),
            microsoft_longest_pause: Duration::from_millis(5),
            ..Limits::default()
        };
        let app = Router::new().fallback(answer).with_state(script.clone());
        tokio::select! {
            end = axum::serve(listener, app).into_future() => panic!("the server ended: {end:?}"),
            () = test(Teams::new(&settings, &limits).unwrap()) => {}
        }
        script.calls.lock().unwrap().clone()
    }

    fn activity() -> Activity {
        Activity::new(&json!({}), "summary")
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once_and_a_busy_connector_asked_again() {
        let answers = [(401, "{}"), (503, ""), (201, r#"{"id":"1"}"#), (200, ""), (202, "")];
        let calls = with_server(&answers, async |teams| {
            let id = teams
                .post(
                    "19:a@thread.tacv2",
                    &activity(),
                    Urgency::Announcement,
                    &CancellationToken::new(),
                )
                .await;
            assert_eq!(id.unwrap(), "1");
            teams
                .update("c", "1", &activity(), Urgency::Resolution, &CancellationToken::new())
                .await
                .unwrap();
            let error = teams
                .post("c", &activity(), Urgency::Announcement, &CancellationToken::new())
                .await
                .unwrap_err();
            assert_eq!((error.meaning(), error.retry()), (Meaning::Delivered, Retry::Never));
        });
        let post = "POST /bot/teams/v3/conversations/19%3Aa%40thread.tacv2/activities Bearer";
        let expected = [
            "POST /login/tenant/oauth2/v2.0/token -",
            &format!("{post} t1"),
            "POST /login/tenant/oauth2/v2.0/token -",
            &format!("{post} t3"),
            &format!("{post} t3"),
            "PUT /bot/teams/v3/conversations/c/activities/1 Bearer t3",
            "POST /bot/teams/v3/conversations/c/activities Bearer t3",
        ];
        assert_eq!(calls.await, expected);
    }

    #[tokio::test]
    async fn a_user_without_the_app_gets_it_and_is_looked_up_once() {
        let answers = [
            (200, r#"{"value":[{"id":"catalog","displayName":"App"}]}"#),
            (200, r#"{"value":[]}"#),
            (200, r#"{"id":"u"}"#),
            (200, r#"{"value":[]}"#),
            (409, r#"{"error":{"code":"Conflict"}}"#),
            (200, r#"{"value":[{"id":"i"}]}"#),
            (404, r#"{"error":{"code":"NotFound"}}"#),
            (200, r#"{"id":"19:x@unq.gbl.spaces"}"#),
        ];
        let calls = with_server(&answers, async |teams| {
            let address = Address::parse("o'brien@example.com").unwrap();
            let (one, two) = tokio::join!(teams.resolve(&address), teams.resolve(&address));
            assert_eq!(one.unwrap().id, "19:x@unq.gbl.spaces");
            assert_eq!(two.unwrap().id, "19:x@unq.gbl.spaces");
        });
        let calls = calls.await;
        assert_eq!(calls.len(), 1 + answers.len());
        assert!(calls[2].contains("/users?$filter=mail%20eq%20%27o%27%27brien%40example.com%27&$select=id"));
        assert!(calls[3].contains("/users/o%27brien%40example.com?$select=id"));
    }

    #[tokio::test]
    async fn refusals_are_not_repeated_and_a_shut_door_brings_no_burst_of_logins() {
        let answers = [
            (403, "{}"),
            (500, ""),
            (401, "{}"),
            (401, "{}"),
            (401, "{}"),
            (401, "{}"),
        ];
        let calls = with_server(&answers, async |teams| {
            let error = teams.find_app().await.unwrap_err();
            assert!(error.hint().unwrap().contains("AppCatalog.Read.All"));
            let activity = activity();
            let stop = CancellationToken::new();
            let post = || teams.post("c", &activity, Urgency::Announcement, &stop);
            assert_eq!(post().await.unwrap_err().meaning(), Meaning::Unreachable);
            for _ in 0..3 {
                let error = post().await.unwrap_err();
                assert_eq!(error.meaning(), Meaning::Credentials);
                assert!(error.hint().unwrap().contains("Azure Bot"));
            }
        });
        let calls = calls.await;
        let logins = calls.iter().filter(|call| call.contains("/token"));
        assert_eq!((logins.count(), calls.len()), (3, 3 + answers.len()));
    }

    #[tokio::test]
    async fn a_waiting_call_is_small() {
        with_server(&[], async |teams| {
            let (address, activity) = (Address::parse("a@b").unwrap(), activity());
            assert!(size_of_val(&teams.resolve(&address)) < 1_024);
            assert!(size_of_val(&teams.post("c", &activity, Urgency::Review, &CancellationToken::new())) < 2_048);
        })
        .await;
    }

    #[test]
    fn every_call_can_be_made_from_any_thread() {
        fn check<T: Send>(_: impl FnOnce(&'static Teams) -> T) {}
        check(Teams::find_app);
        check(|teams| async move {
            let pulse = Pulse::new("test", Duration::from_secs(5));
            teams.renew_tokens(&pulse, &pulse).await
        });
        check(|teams| async move {
            let address = Address::parse("a@b").unwrap();
            teams.resolve(&address).await
        });
        check(|teams| async move {
            teams
                .update("c", "1", &activity(), Urgency::Review, &CancellationToken::new())
                .await?;
            teams
                .post("c", &activity(), Urgency::Review, &CancellationToken::new())
                .await
        });
    }
}
