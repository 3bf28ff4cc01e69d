//! From an address to the conversation in which it is told.
//!
//! Architecture Invariant: remembers only what was found, never that something was missing; what is remembered is right
//! until a send proves otherwise, and then it is forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::recipients::Address;
use crate::msteams::error::Error;
use crate::msteams::graph::{CatalogApp, Graph};
use crate::msteams::single_flight::SingleFlight;

/// Where to post.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    pub id: String,
    pub kind: ConversationKind,
}

/// Everything there is to know of where an address is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
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
    known: Mutex<HashMap<Address, Arc<SingleFlight<Conversation>>>>,
}

impl Resolver {
    pub(crate) fn new(graph: Graph, teams_app_id: &str) -> Self {
        Self {
            graph,
            teams_app_id: teams_app_id.to_owned(),
            app: SingleFlight::new(),
            known: Mutex::new(HashMap::new()),
        }
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Finds our app, once.
    pub(crate) async fn app(&self) -> Result<CatalogApp, Error> {
        self.app
            .get(|_| true, Box::pin(self.graph.app(&self.teams_app_id)))
            .await
    }

    pub(crate) async fn resolve(&self, address: &Address) -> Result<Conversation, Error> {
        let entry = self.entry(address);
        if let Some(conversation) = entry.held() {
            return Ok(conversation);
        }
        // In a box, so that a caller who waits, or who finds the answer there, stays small.
        let outcome = entry.get(|_| true, Box::pin(self.look_up(address))).await;
        if outcome.is_err() {
            self.drop_unused(address, &entry);
        }
        outcome.map_err(|error| error.about(address))
    }

    /// Forgets a conversation, and our app with it: a conversation that lost the app may be a sign of a new copy of it.
    pub(crate) fn forget(&self, address: &Address) {
        self.app.forget_if(|_| true);
        self.lock().remove(address);
    }

    async fn look_up(&self, address: &Address) -> Result<Conversation, Error> {
        let app = self.app().await?;
        let user = self.user(address).await?;
        Ok(self.place(address, user.as_deref(), &app).await?.conversation)
    }

    /// Finds the id of the user at an address; a channel has none.
    pub(crate) async fn user(&self, address: &Address) -> Result<Option<String>, Error> {
        if address.channel().is_some() {
            Ok(None)
        } else if address.is_email() {
            self.graph.user_by_mail(address.as_str()).await.map(Some)
        } else {
            self.graph.user(address.as_str()).await.map(Some)
        }
    }

    /// Finds where an address is told; installs the app for a user who does not have it.
    pub(crate) async fn place(&self, address: &Address, user: Option<&str>, app: &CatalogApp) -> Result<Place, Error> {
        if let Some(channel) = address.channel() {
            return Ok(Place {
                installation: self.graph.installation_in_team(&channel.team, app).await?,
                conversation: Conversation {
                    id: channel.thread.clone(),
                    kind: ConversationKind::Channel,
                },
                web_url: Some(address.as_str().to_owned()),
            });
        }
        let chat = self.graph.chat(user.unwrap_or(address.as_str()), app).await?;
        Ok(Place {
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

    /// Keeps addresses that lead nowhere from filling the table.
    fn drop_unused(&self, address: &Address, entry: &Arc<SingleFlight<Conversation>>) {
        let mut known = self.lock();
        let current = known.get(address).is_some_and(|current| Arc::ptr_eq(current, entry));
        // The table and the caller have one each; anybody else still waits for it.
        if current && Arc::strong_count(entry) == 2 && entry.held().is_none() {
            known.remove(address);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Arc<SingleFlight<Conversation>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
