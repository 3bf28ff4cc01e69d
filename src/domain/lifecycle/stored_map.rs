//! The plugin data of one request in memory: the daemon keeps those of every open request.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// A map of strings in two allocations. A `BTreeMap` takes three times as much memory for the dozen entries of a record.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct StoredMap {
    /// Every key, in order, each followed by its value.
    text: Box<str>,
    /// Where each key and each value ends. Teleport stores 1,000,000 bytes at most.
    ends: Box<[u32]>,
}

impl StoredMap {
    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Returns whether the map has no entry.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the keys and values, in the order of the keys.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.ends.len() / 2).map(|entry| (&self.text[self.part(2 * entry)], &self.text[self.part(2 * entry + 1)]))
    }

    /// Returns the same map in the usual form.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        self.entries().map(owned).collect()
    }

    fn part(&self, part: usize) -> Range<usize> {
        let end = |part: usize| usize::try_from(self.ends[part]).unwrap_or(usize::MAX);
        part.checked_sub(1).map_or(0, end)..end(part)
    }
}

impl From<&BTreeMap<String, String>> for StoredMap {
    fn from(map: &BTreeMap<String, String>) -> Self {
        let length = map.iter().map(|(key, value)| key.len() + value.len()).sum();
        let (mut text, mut ends) = (String::with_capacity(length), Vec::with_capacity(map.len() * 2));
        for part in map.iter().flat_map(|(key, value)| [key, value]) {
            text.push_str(part);
            ends.push(u32::try_from(text.len()).expect("a message of Teleport is smaller than 4 GiB"));
        }
        Self {
            text: text.into(),
            ends: ends.into(),
        }
    }
}

impl fmt::Debug for StoredMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(map: BTreeMap<String, String>) {
            let stored = StoredMap::from(&map);
            prop_assert_eq!(&stored.to_map(), &map);
            prop_assert_eq!(stored.is_empty(), map.is_empty());
            prop_assert_eq!(stored.get("x_absent"), map.get("x_absent").map(String::as_str));
            for (key, value) in &map {
                prop_assert_eq!(stored.get(key), Some(value.as_str()));
            }
        }
    }
}
