//! The installations of the app that are compared with the catalog, and upgraded if they are older.
//!
//! Architecture Invariant: each installation once in the life of the process, and limited in number. No card waits for it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::MicrosoftSettings;

/// Largest number of installations; further ones are not upgraded.
const MOST: usize = 10_000;

/// A person or a team that has the app, by ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    Person(String),
    Team(String),
}

pub(crate) struct Upgrades {
    people: bool,
    teams: bool,
    queue: Mutex<Queue>,
    queued: Notify,
}

#[derive(Default)]
struct Queue {
    known: HashSet<Holder>,
    waiting: VecDeque<Holder>,
}

impl Upgrades {
    pub(crate) fn new(settings: &MicrosoftSettings) -> Self {
        let installations = settings.endpoints.installations;
        Self {
            people: settings.upgrade_app && installations.of_people(),
            teams: settings.upgrade_app && installations.of_teams(),
            queue: Mutex::default(),
            queued: Notify::new(),
        }
    }

    /// Queues a person or a team, once.
    pub(crate) fn offer(&self, holder: Holder) {
        let is_wanted = match holder {
            Holder::Person(_) => self.people,
            Holder::Team(_) => self.teams,
        };
        if !is_wanted {
            return;
        }
        let mut queue = self.lock();
        if queue.known.len() < MOST && queue.known.insert(holder.clone()) {
            queue.waiting.push_back(holder);
            self.queued.notify_one();
        }
    }

    /// Waits for the next person or team.
    pub(crate) async fn next(&self) -> Holder {
        loop {
            let next = self.lock().waiting.pop_front();
            match next {
                Some(holder) => return holder,
                None => self.queued.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    /// Returns the kind for logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "user",
            Self::Team(_) => "team",
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Person(id) | Self::Team(id) => id,
        }
    }
}
