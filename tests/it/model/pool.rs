//! Values by number, so that a state is small and quick to compare.

use std::collections::HashMap;
use std::hash::Hash;

pub(super) type Id = u32;

/// Every value once, by the number of its arrival.
pub(super) struct Pool<T> {
    values: Vec<T>,
    ids: HashMap<T, Id>,
}

impl<T: Clone + Eq + Hash> Pool<T> {
    pub(super) fn new(first: Vec<T>) -> Self {
        let mut pool = Self {
            values: Vec::new(),
            ids: HashMap::new(),
        };
        for value in first {
            pool.id(value);
        }
        pool
    }

    pub(super) fn id(&mut self, value: T) -> Id {
        if let Some(id) = self.ids.get(&value) {
            return *id;
        }
        let id = Id::try_from(self.values.len()).unwrap();
        self.values.push(value.clone());
        self.ids.insert(value, id);
        id
    }

    pub(super) fn of(&self, id: Id) -> &T {
        &self.values[id as usize]
    }
}
