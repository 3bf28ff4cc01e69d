//! The handle on Microsoft Teams.
//!
//! Architecture Invariant: adds nothing to what it is made of but the wiring.

use std::convert::Infallible;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::{Limits, MicrosoftSettings};
use crate::domain::recipients::Address;
use crate::heartbeat::Heartbeat;
use crate::msteams::activity::Activity;
use crate::msteams::bot::{self, Bot};
use crate::msteams::call_event::{Endpoint, Observer};
use crate::msteams::credential::Credential;
use crate::msteams::error::Error;
use crate::msteams::graph::{self, CatalogApp, Graph};
use crate::msteams::http::Http;
use crate::msteams::line::Priority;
use crate::msteams::resolver::{Conversation, InstalledAt, Resolver};
use crate::msteams::service::Service;
use crate::msteams::token::Token;
use crate::secret::Secret;

/// Finds people and channels, and posts and updates cards there; cheap to clone.
#[derive(Clone)]
pub struct Teams(Arc<Parts>);

struct Parts {
    credential: Arc<Credential>,
    resolver: Resolver,
    bot: Bot,
}

/// An address that the directory does not know is not asked for again for so many of the longest pauses: two minutes.
const REFUSAL_HOLDS: u32 = 4;

impl Teams {
    /// Sets up everything; nothing is sent yet.
    pub fn new(settings: &MicrosoftSettings, limits: &Limits) -> Result<Self, Error> {
        Self::observed(settings, limits, Observer::nobody())
    }

    /// Does the same, and tells an observer of everything that happens.
    pub fn observed(settings: &MicrosoftSettings, limits: &Limits, observer: Observer) -> Result<Self, Error> {
        let http = Http::new(limits, &settings.proxies, observer)?;
        let endpoints = &settings.endpoints;
        let credential = Arc::new(Credential::new(settings));
        let token = Token::new(&http, endpoints, &credential, Endpoint::Graph);
        let graph = Service::new(&http, &endpoints.graph, token, graph::pace(), limits);
        let token = Token::new(&http, endpoints, &credential, Endpoint::Bot);
        let bot = Service::new(&http, &endpoints.bot, token, bot::pace(), limits);
        Ok(Self(Arc::new(Parts {
            credential,
            resolver: Resolver::new(
                Graph::new(graph, limits),
                &settings.teams_app_id,
                limits.microsoft_longest_pause * REFUSAL_HOLDS,
            ),
            bot: Bot::new(bot),
        })))
    }

    /// Finds the app in the organization's catalog, and remembers it.
    pub async fn find_app(&self) -> Result<CatalogApp, Error> {
        self.0.resolver.app(&Priority::command()).await
    }

    /// Finds the conversation of an address, and remembers it; installs the app for a user who does not have it.
    pub async fn resolve(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        self.0.resolver.resolve(address, priority).await
    }

    /// Forgets which addresses the directory did not know, so that they are asked for again.
    pub fn forget_refusals(&self) {
        self.0.resolver.forget_refusals();
    }

    /// Finds the id of the user at an address; a channel has none.
    pub async fn find_user(&self, address: &Address) -> Result<Option<String>, Error> {
        let user = self.0.resolver.user(address, &Priority::command()).await;
        user.map_err(|error| error.about(address))
    }

    /// Finds where an address is told, step by step and without remembering; installs the app for a user who does not have
    /// it. `user` is what [`find_user`](Self::find_user) returned.
    pub async fn find_place(&self, address: &Address, user: Option<&str>) -> Result<InstalledAt, Error> {
        let app = self.find_app().await?;
        let place = self.0.resolver.place(address, user, &app, &Priority::command()).await;
        place.map_err(|error| error.about(address))
    }

    /// Tells whether an address could be told at once, and changes nothing: whether a user has the app, or a team.
    pub async fn has_app(&self, address: &Address, user: Option<&str>) -> Result<bool, Error> {
        let app = self.find_app().await?;
        let (graph, priority) = (self.0.resolver.graph(), &Priority::command());
        let found = match (address.channel(), user) {
            (Some(channel), _) => graph
                .installation_in_team(&channel.team, &app, priority)
                .await
                .map(Some),
            (None, user) => {
                graph
                    .installation(user.unwrap_or(address.as_str()), &app, priority)
                    .await
            }
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
        self.0.credential.replace(secret);
        let graph = self.0.resolver.graph().service().token();
        tokio::try_join!(graph.prove(), self.0.bot.service().token().prove())?;
        Ok(())
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
        priority: &Priority,
        stop: &CancellationToken,
    ) -> Result<String, Error> {
        self.0.bot.post(conversation, activity, priority, stop).await
    }

    /// Replaces a card.
    pub async fn update(
        &self,
        conversation: &str,
        activity_id: &str,
        activity: &Activity,
        priority: &Priority,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.0
            .bot
            .update(conversation, activity_id, activity, priority, stop)
            .await
    }

    /// Keeps fresh tokens at hand, for ever.
    pub async fn renew_tokens(&self, for_graph: &Heartbeat, for_bot: &Heartbeat) -> Infallible {
        let graph = self.0.resolver.graph().service().token().keep(for_graph);
        let bot = self.0.bot.service().token().keep(for_bot);
        tokio::join!(graph, bot).0
    }
}

#[cfg(test)]
#[path = "teams_tests.rs"]
mod tests;
