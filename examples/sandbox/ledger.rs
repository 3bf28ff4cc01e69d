//! What became of every request, those that Teleport has already forgotten included.
//!
//! Architecture Invariant: only remembers what the cluster said. It knows nothing of cards.

use std::collections::BTreeMap;

use world::types::{AccessRequestSpecV3, AccessRequestV3, RequestState};

/// Requests by their ids, with the newest that was seen of each.
#[derive(Default)]
pub struct Ledger {
    known: BTreeMap<String, Entry>,
}

pub struct Entry {
    pub request: AccessRequestV3,
    /// The cluster does not know it any more.
    pub gone: bool,
    /// Counts requests in the order in which they were first seen.
    pub number: usize,
}

impl Ledger {
    /// Takes over everything that the cluster holds.
    pub fn observe(&mut self, requests: Vec<AccessRequestV3>) {
        for entry in self.known.values_mut() {
            entry.gone = true;
        }
        for request in requests {
            let id = request.metadata.as_ref().map(|metadata| metadata.name.clone());
            let number = self.known.len();
            let entry = self.known.entry(id.unwrap_or_default());
            let entry = entry.or_insert_with(|| Entry {
                request: AccessRequestV3::default(),
                gone: false,
                number,
            });
            entry.request = request;
            entry.gone = false;
        }
    }

    pub fn find(&self, id: &str) -> Option<&Entry> {
        self.known.get(id)
    }

    /// Every request, the newest first.
    pub fn newest_first(&self) -> Vec<(&str, &Entry)> {
        let mut all: Vec<_> = self.known.iter().map(|(id, entry)| (id.as_str(), entry)).collect();
        all.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.number));
        all
    }
}

impl Entry {
    /// The word that a true card of this request shows.
    pub fn word(&self) -> &'static str {
        let state = self
            .request
            .spec
            .as_ref()
            .map_or(RequestState::None, AccessRequestSpecV3::state);
        match state {
            // A request that ends undecided has expired, whoever deleted it.
            RequestState::Pending | RequestState::None if self.gone => "EXPIRED",
            RequestState::Pending | RequestState::None => "PENDING",
            RequestState::Approved => "APPROVED",
            RequestState::Denied => "DENIED",
            RequestState::Promoted => "PROMOTED",
        }
    }
}
