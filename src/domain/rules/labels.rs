//! Labels of the requested resources, as conditions see them.

use std::collections::BTreeMap;

use crate::domain::rules::predicate::{Dict, Set};

/// The two views of the labels of several resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Every key with all its values.
    pub union: Dict,
    /// Keys that every resource has with the same value.
    pub intersection: Dict,
}

impl Labels {
    /// Combines the labels of all resources.
    pub fn of<'a>(resources: impl IntoIterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let mut count = 0_usize;
        let mut found: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for labels in resources {
            count += 1;
            for (key, value) in labels {
                *found.entry(key).or_default().entry(value).or_default() += 1;
            }
        }
        let mut all = Self::default();
        for (key, values) in found {
            let set: Set = values.keys().map(|value| value.as_bytes().to_vec()).collect();
            let is_everywhere = values.len() == 1 && values.values().all(|times| *times == count);
            if is_everywhere {
                all.intersection.insert(key.as_bytes().to_vec(), set.clone());
            }
            all.union.insert(key.as_bytes().to_vec(), set);
        }
        all
    }
}
