//! The installations of the app that are compared with the catalog, and upgraded if they are older.
//!
//! Architecture Invariant: each installation once per process, apart from a few retries, and limited in number. No card waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::MicrosoftSettings;
use crate::msteams::installations::Holder;

/// Largest number of installations; further ones are not upgraded.
const MOST: usize = 10_000;

/// How often an upgrade that failed is tried again.
const MOST_RETRIES: u32 = 6;

pub(crate) struct Upgrades {
    people: bool,
    teams: bool,
    queue: Mutex<Queue>,
    queued: Notify,
}

#[derive(Default)]
struct Queue {
    /// With the number of retries.
    known: HashMap<Holder, u32>,
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
        if queue.known.len() < MOST && !queue.known.contains_key(&holder) {
            queue.known.insert(holder.clone(), 0);
            queue.waiting.push_back(holder);
            self.queued.notify_one();
        }
    }

    /// Queues a person or a team again, behind all others, unless it failed too often. The caller pauses first.
    pub(crate) fn put_back(&self, holder: Holder) {
        let mut queue = self.lock();
        let retries = queue.known.get_mut(&holder).filter(|retries| **retries < MOST_RETRIES);
        if let Some(retries) = retries {
            *retries += 1;
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

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failed_upgrade_is_tried_again_behind_the_others_a_few_times() {
        let upgrades = Upgrades {
            people: true,
            teams: true,
            queue: Mutex::default(),
            queued: Notify::new(),
        };
        let (person, team) = (Holder::Person("1".to_owned()), Holder::Team("2".to_owned()));
        for holder in [&person, &team, &person] {
            upgrades.offer(holder.clone());
        }
        assert_eq!(upgrades.next().await, person);
        upgrades.put_back(person.clone());
        assert_eq!(upgrades.next().await, team);
        for _ in 0..MOST_RETRIES {
            assert_eq!(upgrades.next().await, person);
            upgrades.offer(person.clone());
            upgrades.put_back(person.clone());
        }
        let next = timeout(Duration::from_secs(1), upgrades.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
}
