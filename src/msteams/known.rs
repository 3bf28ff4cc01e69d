//! The conversations that are known, by address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::recipients::{Address, Person};
use crate::msteams::place::Conversation;
use crate::msteams::single_flight::SingleFlight;

#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<Address, Entry>>);

/// A conversation, or its look-up.
pub(crate) type Entry = Arc<SingleFlight<Conversation>>;

impl Known {
    /// Returns the entry of an address, which is added if it does not exist.
    pub(crate) fn entry(&self, address: &Address) -> Entry {
        let mut known = self.lock();
        let entry = known.entry(address.clone());
        entry.or_insert_with(|| Arc::new(SingleFlight::new())).clone()
    }

    /// Keeps addresses without a conversation from filling the table: the last caller that waits for an entry removes
    /// it if it is empty.
    pub(crate) fn drop_unused(&self, address: &Address, entry: Entry) {
        let mut known = self.lock();
        drop(entry);
        let only_in_table = known.get_mut(address).and_then(Arc::get_mut);
        if only_in_table.is_some_and(|entry| entry.held().is_none()) {
            known.remove(address);
        }
    }

    /// Returns the person of an address whose conversation is known.
    pub(crate) fn person(&self, address: &Address) -> Option<Person> {
        let entry = self.lock().get(address).map(Arc::clone)?;
        entry.held()?.person
    }

    pub(crate) fn forget(&self, address: &Address) {
        self.lock().remove(address);
    }

    /// Forgets the chat with a user under every address.
    pub(crate) fn forget_chat(&self, user: &str) {
        let is_other = |conversation: Conversation| conversation.person.is_none_or(|person| person.id != user);
        self.lock().retain(|_, entry| entry.held().is_none_or(is_other));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
