//! The handle for Microsoft Teams.
//!
//! Architecture Invariant: only connects the parts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{AppCredential, Limits, MicrosoftSettings};
use crate::domain::recipients::{Address, Person};
use crate::heartbeat::Heartbeat;
use crate::msteams::activity::Activity;
use crate::msteams::bot::{self, Bot};
use crate::msteams::call_event::{Endpoint, Observer};
use crate::msteams::call_queue::Priority;
use crate::msteams::conversation;
use crate::msteams::credential::{ActiveCredential, Credential};
use crate::msteams::error::Error;
use crate::msteams::graph::{self, CatalogApp, Graph};
use crate::msteams::http::Http;
use crate::msteams::members::Members;
use crate::msteams::people;
use crate::msteams::place::{Conversation, InstalledAt};
use crate::msteams::resolver::Resolver;
use crate::msteams::service::Service;
use crate::msteams::sites::Site;
use crate::msteams::token::Token;

/// Finds users and channels, and posts and updates cards there. Cheap to clone.
#[derive(Clone)]
pub struct Teams(Arc<Parts>);

struct Parts {
    /// Begins the links that open Teams.
    links: String,
    tenant: String,
    credential: Arc<Credential>,
    resolver: Resolver,
    bot: Arc<Bot>,
}

impl Teams {
    /// Creates the handle without sending anything.
    ///
    /// # Errors
    /// The HTTP client cannot be created, for example because a certificate authority is invalid.
    pub fn new(settings: &MicrosoftSettings, limits: &Limits) -> Result<Self, Error> {
        Self::observed(settings, limits, Observer::ignore())
    }

    /// Does the same, and reports every call event to an observer.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn observed(settings: &MicrosoftSettings, limits: &Limits, observer: Observer) -> Result<Self, Error> {
        let http = Http::new(limits, &settings.proxies, observer)?;
        let endpoints = &settings.endpoints;
        let credential = Arc::new(Credential::new(settings));
        let token = Token::new(&http, endpoints, &credential, Endpoint::Graph);
        let graph = Service::new(&http, &endpoints.graph, token, graph::pace(), limits).with_batches();
        let token = Token::new(&http, endpoints, &credential, Endpoint::Bot);
        let bot = Service::new(&http, &endpoints.bot, token, bot::pace(), limits);
        let bot = Arc::new(Bot::new(bot, settings));
        Ok(Self(Arc::new(Parts {
            links: endpoints.teams.clone(),
            tenant: settings.tenant_id.clone(),
            credential,
            resolver: Resolver::new(Graph::new(graph, limits), Arc::clone(&bot), settings, limits),
            bot,
        })))
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }

    /// Finds the app in the organization's catalog, and remembers it.
    ///
    /// # Errors
    /// The app is not in the catalog, or Microsoft did not answer or refused.
    pub async fn find_app(&self) -> Result<CatalogApp, Error> {
        self.0.resolver.app(&Priority::command()).await
    }

    /// Finds the conversation of an address, and remembers it; installs the app for a user who does not have it.
    ///
    /// # Errors
    /// The user or channel does not exist or cannot have the app, or Microsoft did not answer or refused.
    pub async fn resolve(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        self.0.resolver.resolve(address, priority).await
    }

    /// Finds the person at an address under any of their names, and remembers the answer for a while. Installs nothing.
    ///
    /// # Errors
    /// Microsoft did not answer, or refused.
    pub async fn person(&self, address: &Address, priority: &Priority) -> Result<Option<Person>, Error> {
        self.0.resolver.person(address, priority).await
    }

    /// Finds the manager of the person at an address, and remembers the answer for a while. `None` if the address is
    /// unknown or no person's, and if there is no manager who can sign in.
    ///
    /// # Errors
    /// Microsoft did not answer, or refused, for example because the permission [`FIND_MANAGER`] is missing.
    ///
    /// [`FIND_MANAGER`]: crate::msteams::FIND_MANAGER
    pub async fn manager(&self, address: &Address, priority: &Priority) -> Result<Option<Address>, Error> {
        if !address.is_person() {
            return Ok(None);
        }
        let manager = self.0.resolver.manager(address, priority).await;
        manager.map_err(|error| error.about(address))
    }

    /// Lists the people in a group, by its object ID. Nothing is remembered.
    ///
    /// # Errors
    /// The group does not exist, or Microsoft did not answer or refused, for example because the permission
    /// [`LIST_MEMBERS`](crate::msteams::LIST_MEMBERS) is missing.
    pub async fn members(&self, group: &str, priority: &Priority) -> Result<Members, Error> {
        let members = self.0.resolver.graph().members(group, priority).await;
        members.map_err(|error| error.about(group))
    }

    /// Returns the addresses in the out-of-office messages of people, by object ID, and whether Microsoft answered it just now;
    /// the answer is remembered for a while. People who are not out of office are omitted, and so are people after the first
    /// [`MOST_PRESENCES`].
    ///
    /// # Errors
    /// Microsoft did not answer, or refused, for example because the permission [`READ_PRESENCE`] is missing.
    ///
    /// [`READ_PRESENCE`]: crate::msteams::READ_PRESENCE
    /// [`MOST_PRESENCES`]: crate::msteams::MOST_PRESENCES
    pub async fn absent(
        &self,
        people: &[String],
        priority: &Priority,
    ) -> Result<(HashMap<String, Vec<Address>>, bool), Error> {
        let (graph, presences) = (self.0.resolver.graph(), self.0.resolver.presences());
        presences.absent(graph, people, priority).await
    }

    /// Finds the person at an address that a message names, and remembers the answer for a while. `None` unless it is one member of
    /// the tenant whose account is enabled, as far as Graph shows it.
    ///
    /// # Errors
    /// Microsoft did not answer, or refused.
    pub async fn member_at(&self, address: &Address, priority: &Priority) -> Result<Option<Person>, Error> {
        let (graph, presences) = (self.0.resolver.graph(), self.0.resolver.presences());
        let member = presences.member_at(graph, address, priority).await;
        member.map_err(|error| error.about(address))
    }

    /// Returns the person of an address whose conversation is known.
    pub fn known_person(&self, address: &Address) -> Option<Person> {
        self.0.resolver.known_person(address)
    }

    /// Forgets unknown addresses, so that they are looked up again.
    pub fn forget_refusals(&self) {
        self.0.resolver.forget_refusals();
    }

    /// Finds the id of the user at an address; `None` if it is no person.
    ///
    /// # Errors
    /// The user does not exist, or Microsoft did not answer or refused.
    pub async fn find_user(&self, address: &Address) -> Result<Option<String>, Error> {
        let user = self.0.resolver.user(address, &Priority::command()).await;
        user.map(|user| user.map(|user| user.id))
            .map_err(|error| error.about(address))
    }

    /// Finds the installation and the conversation of an address, without remembering them; installs the app for a user
    /// who does not have it. `user` is the result of [`find_user`](Self::find_user).
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn find_place(&self, address: &Address, user: Option<&str>) -> Result<InstalledAt, Error> {
        let app = self.find_app().await?;
        let place = self.0.resolver.place(address, user, &app, &Priority::command()).await;
        place.map_err(|error| error.about(address))
    }

    /// Finds the link of the channel at an address; `None` if it is no channel.
    ///
    /// # Errors
    /// The team or channel does not exist, or Microsoft did not answer or refused.
    pub async fn find_link(&self, address: &Address) -> Result<Option<String>, Error> {
        let resolver = &self.0.resolver;
        match resolver.site(address, &Priority::command()).await {
            Ok(Site::Channel(channel)) => Ok(Some(resolver.sites().link(address, &channel))),
            Ok(Site::Person | Site::GroupChat(_)) => Ok(None),
            Err(error) => Err(error.about(address)),
        }
    }

    /// Returns the application permissions in the token for Graph; `None` if they cannot be read.
    ///
    /// Microsoft declares its tokens opaque: use this for hints only, not for decisions.
    ///
    /// # Errors
    /// Microsoft issues no token.
    pub async fn granted_permissions(&self) -> Result<Option<Vec<String>>, Error> {
        self.0.resolver.graph().service().token().roles().await
    }

    /// Returns the client ID of the app that the token for Graph names; `None` if it cannot be read. As with
    /// [`granted_permissions`](Self::granted_permissions), use it for hints only.
    ///
    /// # Errors
    /// Microsoft issues no token.
    pub async fn authenticated_app(&self) -> Result<Option<String>, Error> {
        self.0.resolver.graph().service().token().app().await
    }

    /// Returns whether valid tokens for both services are available.
    pub fn holds_tokens(&self) -> bool {
        let graph = self.0.resolver.graph().service().token();
        graph.is_held() && self.0.bot.service().token().is_held()
    }

    /// Returns the number of requests to a service that wait because of Microsoft's limits.
    pub fn waiting(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            // Logins are few, and have no limit.
            Endpoint::Login => 0,
            Endpoint::Graph => self.0.resolver.graph().service().waiting(),
            Endpoint::Bot => self.0.bot.service().waiting(),
        }
    }

    /// Returns a receiver of the credential of the app and of its replacements.
    pub fn credential_replacements(&self) -> watch::Receiver<Arc<ActiveCredential>> {
        self.0.credential.replacements()
    }

    /// Replaces the credential of the app, or only `old` if it is given. Current tokens stay in use.
    pub fn replace_credential(&self, old: Option<&ActiveCredential>, credential: AppCredential) {
        self.0.credential.replace(old, credential);
    }

    /// Verifies the credential by requesting tokens. Current tokens stay in use until then.
    ///
    /// # Errors
    /// Microsoft issues no token for it. It stays in use: an older one may be deleted already.
    pub async fn verify_credential(&self) -> Result<(), Error> {
        let graph = self.0.resolver.graph().service().token();
        tokio::try_join!(graph.verify(), self.0.bot.service().token().verify())?;
        Ok(())
    }

    /// Requests a token for the Bot connector, unless a valid one is available.
    ///
    /// # Errors
    /// Microsoft issues no token.
    pub async fn check_bot_token(&self) -> Result<(), Error> {
        self.0.bot.service().token().get().await.map(|_| ())
    }

    /// Finds the conversation of an address under the name that Graph has for it, which is another one than the connector's
    /// for a chat with a person. Whether a message that was posted under one name can be updated under the other is not
    /// documented.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn resolve_in_graph(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        let conversation = self.resolve(address, priority).await?;
        let shared = match &conversation.person {
            Some(_) => self.0.resolver.shared_chat(address, priority).await?,
            None => None,
        };
        Ok(Conversation {
            id: shared.unwrap_or(conversation.id),
            ..conversation
        })
    }

    /// Finds the conversation of an address again, because a send proved the known one wrong, and checks that the app is
    /// installed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn resolve_again(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        self.0.resolver.resolve_again(address, priority).await
    }

    /// Uses the address of the Bot connector that Microsoft named for a conversation, if it is on the configured host.
    pub fn learn_service_url(&self, conversation: &str, stated: &str) {
        self.0.bot.learn_url(conversation, stated);
    }

    /// Forgets the chat with a user who has uninstalled the app.
    pub fn forget_chat(&self, user: &str) {
        self.0.resolver.forget_chat(user);
    }

    /// Returns the user principal name of a member of the tenant by the user ID; `None` for a guest, and if Graph does
    /// not show that the user is a member.
    ///
    /// # Errors
    /// The user does not exist, or Microsoft did not answer or refused.
    pub async fn member_name(&self, user: &str, priority: &Priority) -> Result<Option<String>, Error> {
        people::member_name(self.0.resolver.graph(), user, priority).await
    }

    /// Returns the link that opens a message in Teams; `None` if clients do not know its conversation. `team` is the ID of the
    /// team that a channel is in.
    pub fn message_link(&self, conversation: &str, activity: &str, team: Option<&str>) -> Option<String> {
        let Parts { links, tenant, .. } = &*self.0;
        conversation::link(links, conversation, activity, team, tenant)
    }

    /// Does the same for a message to an address. The connector's id of a chat with a person is known to bots only, so
    /// Graph is asked for the one that clients know.
    pub async fn find_message_link(
        &self,
        address: &Address,
        conversation: &str,
        activity: &str,
        priority: &Priority,
    ) -> Option<String> {
        let team = match self.0.resolver.site(address, priority).await.ok()? {
            Site::Channel(channel) => Some(channel.team),
            Site::Person | Site::GroupChat(_) => None,
        };
        if let Some(link) = self.message_link(conversation, activity, team.as_deref()) {
            return Some(link);
        }
        let chat = self.0.resolver.shared_chat(address, priority).await.ok()??;
        self.message_link(&chat, activity, None)
    }

    /// Posts a card and returns its id for updates.
    ///
    /// With [`Meaning::Delivered`](crate::msteams::Meaning::Delivered) the card was posted, but its id is unknown.
    ///
    /// After `stop` is cancelled no further exchange begins, and one that has begun is completed. Dropping the call
    /// instead would leave unknown whether the card was posted.
    ///
    /// # Errors
    /// The card was not posted, or it is unknown whether it was; see [`Retry`](crate::msteams::Retry).
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
    ///
    /// # Errors
    /// The card was not replaced, for example because it was deleted.
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

    /// Renews the tokens before they expire, until shutdown.
    pub async fn renew_tokens(&self, for_graph: &Heartbeat, for_bot: &Heartbeat) -> Infallible {
        let graph = self.0.resolver.graph().service().token().keep(for_graph);
        let bot = self.0.bot.service().token().keep(for_bot);
        tokio::join!(graph, bot).0
    }
}

#[cfg(test)]
#[path = "teams_tests.rs"]
mod tests;
