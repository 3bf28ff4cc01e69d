//! Finds the conversation of an address.
//!
//! Architecture Invariant: a conversation is remembered until a send proves it wrong, and then forgotten; names of channels and
//! failures are remembered for a while only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::Cache;
use crate::config::{GraphInstallations, Limits, MicrosoftSettings};
use crate::domain::recipients::{Address, Person};
use crate::msteams::bot::Bot;
use crate::msteams::call_queue::Priority;
use crate::msteams::error::{Error, Meaning, Operation, Retry};
use crate::msteams::graph::{CatalogApp, Graph};
use crate::msteams::installations::{Holder, app_not_in_team};
use crate::msteams::installed::{may_lack_the_app, may_mean_an_old_app};
use crate::msteams::known::Known;
use crate::msteams::managers::Managers;
use crate::msteams::people::People;
use crate::msteams::place::{Conversation, ConversationKind, InstalledAt};
use crate::msteams::presence::Presences;
use crate::msteams::refusals::{self, Refusals};
use crate::msteams::single_flight::SingleFlight;
use crate::msteams::sites::{Site, Sites};
use crate::msteams::upgrades::Upgrades;

pub(crate) struct Resolver {
    graph: Graph,
    bot: Arc<Bot>,
    installations: GraphInstallations,
    teams_app_id: String,
    app: SingleFlight<CatalogApp>,
    /// When the catalog last confirmed the app that we know after a failure that suggested a new copy.
    app_confirmed: Mutex<Option<Instant>>,
    refusals: Refusals,
    people: People,
    managers: Managers,
    sites: Sites,
    presences: Presences,
    /// Graph's ids of chats, by the object id of the person.
    shared_chats: Cache<String, Option<String>>,
    /// The version of the app in the catalog.
    published: Cache<(), Option<String>>,
    pub(super) upgrades: Upgrades,
    known: Known,
}

/// An address for which the app cannot be installed must not query the catalog with every attempt.
const APP_CONFIRMED_FOR: Duration = Duration::from_secs(30);

/// How long, and how many, of Graph's ids of chats are remembered. Only links to messages need them.
const SHARED_CHAT_LIFE: Duration = Duration::from_mins(10);
const MOST_SHARED_CHATS: usize = 10_000;

/// How long the version in the catalog is remembered.
const PUBLISHED_LIFE: Duration = Duration::from_mins(10);

/// Where the look-up of a chat begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// With the connector, which opens the chat if the app is installed.
    AtTheConnector,
    /// With the installation of the app, because a send has failed.
    AtTheInstallation,
}

impl Resolver {
    pub(crate) fn new(graph: Graph, bot: Arc<Bot>, settings: &MicrosoftSettings, limits: &Limits) -> Self {
        Self {
            graph,
            bot,
            installations: settings.endpoints.installations,
            teams_app_id: settings.teams_app_id.clone(),
            app: SingleFlight::new(),
            app_confirmed: Mutex::new(None),
            refusals: Refusals::new(limits.microsoft_longest_pause * refusals::HOLDS),
            people: People::default(),
            managers: Managers::default(),
            sites: Sites::new(settings, limits.channel_names_for),
            presences: Presences::default(),
            published: Cache::new(1, |_| PUBLISHED_LIFE),
            upgrades: Upgrades::new(settings),
            shared_chats: Cache::new(MOST_SHARED_CHATS, |_| SHARED_CHAT_LIFE),
            known: Known::default(),
        }
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(super) fn bot(&self) -> &Bot {
        &self.bot
    }

    pub(super) fn installations(&self) -> GraphInstallations {
        self.installations
    }

    /// Returns the version of the app in the catalog, which is remembered for a while.
    pub(super) async fn published_version(&self, priority: &Priority) -> Result<Option<String>, Error> {
        let look_up = || Box::pin(self.graph.published_version(&self.teams_app_id, priority));
        self.published.get(&(), look_up).await
    }

    /// Finds our app, once.
    pub(crate) async fn app(&self, priority: &Priority) -> Result<CatalogApp, Error> {
        self.app
            .get(|_| true, Box::pin(self.graph.app(&self.teams_app_id, priority)))
            .await
    }

    /// Finds the conversation of an address; installs the app for a user who does not have it.
    pub(crate) async fn resolve(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        self.find(address, Begins::AtTheConnector, priority).await
    }

    /// Finds the conversation of an address again, after a send proved the known one wrong.
    pub(crate) async fn resolve_again(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        self.forget(address);
        self.find(address, Begins::AtTheInstallation, priority).await
    }

    /// Finds the conversation of an address. That of a channel by name is remembered by its link, because names change.
    async fn find(&self, address: &Address, begins: Begins, priority: &Priority) -> Result<Conversation, Error> {
        if address.named_channel().is_none() {
            return self.find_known(address, begins, priority).await;
        }
        let found = async {
            let link = match self.refusals.of(address) {
                Some(error) => return Err(error),
                None => self.sites.linked(&self.graph, address, priority).await,
            };
            let link = link.inspect_err(|error| self.refusals.remember(address, error))?;
            if begins == Begins::AtTheInstallation {
                self.forget(&link);
            }
            self.find_known(&link, begins, priority).await
        };
        found.await.map_err(|error| error.about(address))
    }

    async fn find_known(&self, address: &Address, begins: Begins, priority: &Priority) -> Result<Conversation, Error> {
        let entry = self.known.entry(address);
        let is_again = begins == Begins::AtTheInstallation;
        if let Some(conversation) = entry.held().filter(|_| !is_again) {
            return Ok(conversation);
        }
        let look_up = || Box::pin(self.look_up(address, begins, priority));
        let outcome = match self.refusals.of(address) {
            Some(error) => Err(error),
            // An urgent lookup must not wait for a background one, and one that begins with the installation must not get
            // the outcome of one that does not.
            None if priority.is_background() || is_again => look_up()
                .await
                .inspect(|conversation| entry.offer(conversation.clone())),
            // Boxed, so that the futures of waiting callers stay small.
            None => entry.get(|_| true, look_up()).await,
        };
        if let Err(error) = &outcome {
            self.refusals.remember(address, error);
            self.known.drop_unused(address, entry);
        }
        outcome.map_err(|error| error.about(address))
    }

    /// Returns the person of an address whose conversation is known.
    pub(crate) fn known_person(&self, address: &Address) -> Option<Person> {
        self.known.person(address)
    }

    /// Finds the person at an address under any of their names, without a conversation.
    pub(crate) async fn person(&self, address: &Address, priority: &Priority) -> Result<Option<Person>, Error> {
        match self.known_person(address) {
            Some(person) => Ok(Some(person)),
            None if address.is_person() => self.people.find(&self.graph, address, priority).await,
            None => Ok(None),
        }
    }

    /// Finds the manager of the person at an address.
    pub(crate) async fn manager(&self, address: &Address, priority: &Priority) -> Result<Option<Address>, Error> {
        match self.person(address, priority).await? {
            Some(person) => self.managers.of(&self.graph, &person.id, priority).await,
            None => Ok(None),
        }
    }

    /// Returns the presences of people, as far as they matter.
    pub(crate) fn presences(&self) -> &Presences {
        &self.presences
    }

    /// Forgets unknown addresses, because an operator reported a change.
    pub(crate) fn forget_refusals(&self) {
        self.refusals.forget_all();
    }

    /// Forgets a conversation, and our app with it: a conversation that lost the app may mean that the app was uploaded
    /// again.
    fn forget(&self, address: &Address) {
        self.app.forget_if(|_| true);
        self.refusals.forget(address);
        self.sites.forget(address);
        self.known.forget(address);
    }

    /// Forgets the chat with a user who has uninstalled the app.
    pub(crate) fn forget_chat(&self, user: &str) {
        self.known.forget_chat(user);
    }

    /// Finds Graph's id of the app's chat with the person at an address; `None` if it is no person, if the app is not
    /// installed, and if Graph of this cloud does not show it.
    pub(crate) async fn shared_chat(&self, address: &Address, priority: &Priority) -> Result<Option<String>, Error> {
        if !self.installations.of_people() {
            return Ok(None);
        }
        let Some(person) = self.person(address, priority).await? else {
            return Ok(None);
        };
        let look_up = || Box::pin(self.chat_in_graph(&person.id, priority));
        self.shared_chats.get(&person.id, look_up).await
    }

    async fn chat_in_graph(&self, user: &str, priority: &Priority) -> Result<Option<String>, Error> {
        let app = self.app(priority).await?;
        let holder = Holder::Person(user.to_owned());
        let Some(installation) = self.graph.installation(&holder, &app, priority).await? else {
            return Ok(None);
        };
        let chat = self.graph.chat_of_installation(user, &installation, priority).await?;
        Ok(chat.map(|chat| chat.id))
    }

    async fn look_up(&self, address: &Address, begins: Begins, priority: &Priority) -> Result<Conversation, Error> {
        match self.site(address, priority).await? {
            Site::GroupChat(id) => return Ok(Conversation::shared(&id, ConversationKind::GroupChat)),
            // A refusal of the connector says whether the team has the app.
            Site::Channel(channel) if !self.installations.of_teams() => {
                return Ok(Conversation::shared(&channel.thread, ConversationKind::Channel));
            }
            Site::Channel(channel) => self.upgrades.offer(Holder::Team(channel.team)),
            Site::Person => {}
        }
        let person = self.user(address, priority).await?;
        let priority = &priority.continued();
        let Some(person) = person else {
            return self.with_app(address, None, priority).await;
        };
        self.upgrades.offer(Holder::Person(person.id.clone()));
        let can_install = self.installations.of_people();
        let opened = match begins {
            _ if !can_install => self.open_without_graph(&person.id, priority).await.map(Some),
            Begins::AtTheConnector => self.bot.open_chat(&person.id, priority).await.map(Some),
            Begins::AtTheInstallation => Ok(None),
        };
        let conversation = match opened {
            Ok(Some(id)) => Conversation::with_user(id),
            Err(error) if !can_install || !may_lack_the_app(&error) => return Err(error),
            Ok(None) | Err(_) => self.with_app(address, Some(&person.id), priority).await?,
        };
        Ok(Conversation {
            person: Some(person),
            ..conversation
        })
    }

    /// Finds the conversation through the installation of the app, and installs it for a user who does not have it.
    async fn with_app(
        &self,
        address: &Address,
        user: Option<&str>,
        priority: &Priority,
    ) -> Result<Conversation, Error> {
        let app = self.app(priority).await?;
        match self.opened(address, user, &app, priority).await {
            Err(error) if may_mean_an_old_app(&error) => match self.replaced_app(&app, priority).await? {
                Some(app) => self.opened(address, user, &app, priority).await,
                None => Err(error),
            },
            opened => opened,
        }
    }

    async fn opened(
        &self,
        address: &Address,
        user: Option<&str>,
        app: &CatalogApp,
        priority: &Priority,
    ) -> Result<Conversation, Error> {
        let Some(user) = user else {
            return Ok(self.place(address, None, app, priority).await?.conversation);
        };
        let holder = Holder::Person(user.to_owned());
        if self.graph.installation(&holder, app, priority).await?.is_none() {
            self.graph.install(user, app, priority).await?;
        }
        // The connector names a chat the same way each time, so that one person is recognized under several addresses.
        match self.bot.open_chat(user, priority).await {
            Ok(id) => Ok(Conversation::with_user(id)),
            Err(error) if may_lack_the_app(&error) => {
                Ok(self.place(address, Some(user), app, priority).await?.conversation)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks the app up again, and returns it if the catalog has another copy than the known one. The id changes when
    /// the app is deleted and uploaded again.
    async fn replaced_app(&self, known: &CatalogApp, priority: &Priority) -> Result<Option<CatalogApp>, Error> {
        let confirmed = *self.app_confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed.is_some_and(|at| at.elapsed() < APP_CONFIRMED_FOR) {
            return Ok(None);
        }
        self.app.forget_if(|held| held == known);
        let app = self.app(priority).await?;
        if app == *known {
            *self.app_confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            return Ok(None);
        }
        Ok(Some(app))
    }

    /// Finds the user at an address; `None` if it is no person.
    pub(crate) async fn user(&self, address: &Address, priority: &Priority) -> Result<Option<Person>, Error> {
        if !address.is_person() {
            return Ok(None);
        }
        let user = if address.is_email() {
            self.graph.user_by_email(address.as_str(), priority).await?
        } else {
            self.graph.user(address.as_str(), priority).await?
        };
        if user.is_disabled {
            let error = Error::new(Operation::FindUser, Meaning::Denied, Retry::Never);
            let hint = hint!("Enable the account in Entra, or remove the recipient");
            return Err(error.detail("the account is disabled").with_hint(Some(hint)));
        }
        Ok(Some(user.person))
    }

    /// Finds the installation and the conversation of an address; installs the app for a user who does not have it.
    pub(crate) async fn place(
        &self,
        address: &Address,
        user: Option<&str>,
        app: &CatalogApp,
        priority: &Priority,
    ) -> Result<InstalledAt, Error> {
        match self.site(address, priority).await? {
            Site::Person if !self.installations.of_people() => {
                let user = user.unwrap_or(address.as_str());
                return self.place_without_graph(user, priority).await;
            }
            Site::Person => {}
            Site::Channel(channel) => {
                let installation = if self.installations.of_teams() {
                    let team = Holder::Team(channel.team.clone());
                    let found = self.graph.installation(&team, app, priority).await?;
                    Some(found.ok_or_else(app_not_in_team)?)
                } else {
                    None
                };
                return Ok(InstalledAt {
                    installation,
                    conversation: Conversation::shared(&channel.thread, ConversationKind::Channel),
                    web_url: Some(self.sites.link(address, &channel)),
                });
            }
            Site::GroupChat(id) => {
                return Ok(InstalledAt {
                    installation: None,
                    conversation: Conversation::shared(&id, ConversationKind::GroupChat),
                    web_url: Some(address.as_str().to_owned()),
                });
            }
        }
        let chat = self.graph.chat(user.unwrap_or(address.as_str()), app, priority).await?;
        Ok(InstalledAt {
            installation: Some(chat.installation),
            conversation: Conversation::with_user(chat.id),
            web_url: chat.web_url,
        })
    }

    /// Finds out what an address leads to.
    pub(crate) async fn site(&self, address: &Address, priority: &Priority) -> Result<Site, Error> {
        self.sites.find(&self.graph, address, priority).await
    }

    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
    }
}
