//! From an address to the conversation in which it is told.
//!
//! Architecture Invariant: what is remembered is right until a send proves otherwise, and then it is forgotten. That
//! something is missing is remembered for a moment only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::recipients::Address;
use crate::msteams::error::{Error, Meaning, Operation};
use crate::msteams::graph::{CatalogApp, Graph};
use crate::msteams::line::Priority;
use crate::msteams::refusals::Refusals;
use crate::msteams::single_flight::SingleFlight;

/// Where to post.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    pub id: String,
    pub kind: ConversationKind,
}

/// Everything there is to know of where an address is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledAt {
    /// The id of the app's installation there.
    pub installation: String,
    pub conversation: Conversation,
    /// Where people open it, if Microsoft says so.
    pub web_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConversationKind {
    /// The chat that the app has with one user.
    User,
    Channel,
}

impl ConversationKind {
    /// Returns the word that logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Channel => "channel",
        }
    }
}

pub(crate) struct Resolver {
    graph: Graph,
    teams_app_id: String,
    app: SingleFlight<CatalogApp>,
    /// When the catalog was found to have the app that we know, although something spoke against it.
    app_confirmed: Mutex<Option<Instant>>,
    refusals: Refusals,
    known: Mutex<HashMap<Address, Arc<SingleFlight<Conversation>>>>,
}

/// A person for whom the app cannot be installed is no reason to ask the catalog with every try.
const APP_CONFIRMED_FOR: Duration = Duration::from_secs(30);

impl Resolver {
    /// `refusal_holds` is how long an unknown address is not asked for again.
    pub(crate) fn new(graph: Graph, teams_app_id: &str, refusal_holds: Duration) -> Self {
        Self {
            graph,
            teams_app_id: teams_app_id.to_owned(),
            app: SingleFlight::new(),
            app_confirmed: Mutex::new(None),
            refusals: Refusals::new(refusal_holds),
            known: Mutex::new(HashMap::new()),
        }
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Finds our app, once.
    pub(crate) async fn app(&self, priority: &Priority) -> Result<CatalogApp, Error> {
        self.app
            .get(|_| true, Box::pin(self.graph.app(&self.teams_app_id, priority)))
            .await
    }

    pub(crate) async fn resolve(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        let entry = self.entry(address);
        if let Some(conversation) = entry.held() {
            return Ok(conversation);
        }
        let outcome = match self.refusals.of(address) {
            Some(error) => Err(error),
            // Whoever is in a hurry must not wait for the one who is not.
            None if priority.is_background() => Box::pin(self.look_up(address, priority))
                .await
                .inspect(|conversation| entry.offer(conversation.clone())),
            // In a box, so that a caller who waits, or who finds the answer there, stays small.
            None => entry.get(|_| true, Box::pin(self.look_up(address, priority))).await,
        };
        if let Err(error) = &outcome {
            self.refusals.remember(address, error);
            self.drop_unused(address, entry);
        }
        outcome.map_err(|error| error.about(address))
    }

    /// Forgets which addresses were unknown: somebody says that things have changed.
    pub(crate) fn forget_refusals(&self) {
        self.refusals.forget_all();
    }

    /// Forgets a conversation, and our app with it: a conversation that lost the app may be a sign of a new copy of it.
    pub(crate) fn forget(&self, address: &Address) {
        self.app.forget_if(|_| true);
        self.refusals.forget(address);
        self.lock().remove(address);
    }

    async fn look_up(&self, address: &Address, priority: &Priority) -> Result<Conversation, Error> {
        let app = self.app(priority).await?;
        let user = self.user(address, priority).await?;
        let priority = &priority.going_on();
        let place = match self.place(address, user.as_deref(), &app, priority).await {
            Err(error) if may_be_of_an_old_app(&error) => match self.newer_app(&app, priority).await? {
                Some(app) => self.place(address, user.as_deref(), &app, priority).await,
                None => Err(error),
            },
            place => place,
        };
        Ok(place?.conversation)
    }

    /// Finds the app anew if the catalog has another copy than the one we know: its id changes when it is deleted and
    /// uploaded again.
    async fn newer_app(&self, known: &CatalogApp, priority: &Priority) -> Result<Option<CatalogApp>, Error> {
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

    /// Finds the id of the user at an address; a channel has none.
    pub(crate) async fn user(&self, address: &Address, priority: &Priority) -> Result<Option<String>, Error> {
        if address.channel().is_some() {
            Ok(None)
        } else if address.is_email() {
            self.graph.user_by_mail(address.as_str(), priority).await.map(Some)
        } else {
            self.graph.user(address.as_str(), priority).await.map(Some)
        }
    }

    /// Finds where an address is told; installs the app for a user who does not have it.
    pub(crate) async fn place(
        &self,
        address: &Address,
        user: Option<&str>,
        app: &CatalogApp,
        priority: &Priority,
    ) -> Result<InstalledAt, Error> {
        if let Some(channel) = address.channel() {
            return Ok(InstalledAt {
                installation: self.graph.installation_in_team(&channel.team, app, priority).await?,
                conversation: Conversation {
                    id: channel.thread.clone(),
                    kind: ConversationKind::Channel,
                },
                web_url: Some(address.as_str().to_owned()),
            });
        }
        let chat = self.graph.chat(user.unwrap_or(address.as_str()), app, priority).await?;
        Ok(InstalledAt {
            installation: chat.installation,
            conversation: Conversation {
                id: chat.id,
                kind: ConversationKind::User,
            },
            web_url: chat.web_url,
        })
    }

    pub(crate) fn teams_app_id(&self) -> &str {
        &self.teams_app_id
    }

    fn entry(&self, address: &Address) -> Arc<SingleFlight<Conversation>> {
        let mut known = self.lock();
        let entry = known.entry(address.clone());
        entry.or_insert_with(|| Arc::new(SingleFlight::new())).clone()
    }

    /// Keeps addresses that lead nowhere from filling the table: the last of those who wait for an entry removes it if it
    /// holds nothing.
    fn drop_unused(&self, address: &Address, entry: Arc<SingleFlight<Conversation>>) {
        let mut known = self.lock();
        drop(entry);
        let only_in_table = known.get_mut(address).and_then(Arc::get_mut);
        if only_in_table.is_some_and(|entry| entry.held().is_none()) {
            known.remove(address);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Arc<SingleFlight<Conversation>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a failure is what an app brings that the catalog no longer has under the id that we know.
fn may_be_of_an_old_app(error: &Error) -> bool {
    match error.operation() {
        Operation::Install | Operation::FindInstallation => {
            matches!(error.meaning(), Meaning::NotFound | Meaning::Rejected)
        }
        Operation::FindInTeam => error.meaning() == Meaning::AppNotInTeam,
        _ => false,
    }
}
