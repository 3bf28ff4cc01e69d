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
        if let Some(channel) = address.channel() {
            self.graph.check_team(&channel.team, &app).await?;
            return Ok(Conversation {
                id: channel.thread.clone(),
                kind: ConversationKind::Channel,
            });
        }
        let user = if address.is_email() {
            self.graph.user_by_mail(address.as_str()).await?
        } else {
            self.graph.user(address.as_str()).await?
        };
        Ok(Conversation {
            id: self.graph.chat(&user, &app).await?,
            kind: ConversationKind::User,
        })
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
