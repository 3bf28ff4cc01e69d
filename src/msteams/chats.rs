//! The chats with people who have the app, as Teams reports installations to the bot.
//!
//! A known chat saves the look-up of the installation and its chat in Graph.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Largest number of people; the chats of further ones are looked up in Graph.
const MOST: usize = 10_000;

/// The IDs of chats, by user ID.
#[derive(Default)]
pub(crate) struct Chats(Mutex<HashMap<String, String>>);

impl Chats {
    pub(crate) fn learn(&self, user: &str, conversation: &str) {
        let mut chats = self.lock();
        if chats.len() < MOST || chats.contains_key(user) {
            chats.insert(user.to_owned(), conversation.to_owned());
        }
    }

    pub(crate) fn forget(&self, user: &str) {
        self.lock().remove(user);
    }

    pub(crate) fn of(&self, user: &str) -> Option<String> {
        self.lock().get(user).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_chats_is_bounded() {
        let chats = Chats::default();
        for number in 0..MOST + 5 {
            chats.learn(&number.to_string(), "chat");
        }
        assert_eq!(chats.lock().len(), MOST);
        chats.learn("0", "another chat");
        assert_eq!(chats.of("0").as_deref(), Some("another chat"));
        chats.forget("0");
        assert_eq!(chats.of("0"), None);
    }
}
