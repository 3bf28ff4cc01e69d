//! The last known state of every request, including those that Teleport has deleted.
//!
//! Architecture Invariant: only stores what the cluster returned. It knows nothing about cards.

use std::collections::BTreeMap;

use world::types::{AccessRequestSpecV3, AccessRequestV3, RequestState};

/// The newest version of each request, by ID.
#[derive(Default)]
pub struct Ledger {
    requests: BTreeMap<String, Entry>,
}

pub struct Entry {
    pub request: AccessRequestV3,
    /// Whether the cluster has deleted it.
    pub gone: bool,
    /// The position in the order in which requests were first seen.
    pub number: usize,
}

impl Ledger {
    /// Updates the ledger with all requests of the cluster.
    pub fn observe(&mut self, requests: Vec<AccessRequestV3>) {
        for entry in self.requests.values_mut() {
            entry.gone = true;
        }
        for request in requests {
            let id = request.metadata.as_ref().map(|metadata| metadata.name.clone());
            let number = self.requests.len();
            let entry = self.requests.entry(id.unwrap_or_default());
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
        self.requests.get(id)
    }

    /// Returns every request, newest first.
    pub fn newest_first(&self) -> Vec<(&str, &Entry)> {
        let mut all: Vec<_> = self.requests.iter().map(|(id, entry)| (id.as_str(), entry)).collect();
        all.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.number));
        all
    }
}

impl Entry {
    /// Returns the state that an up-to-date card of this request shows.
    pub fn word(&self) -> &'static str {
        let state = self
            .request
            .spec
            .as_ref()
            .map_or(RequestState::None, AccessRequestSpecV3::state);
        match state {
            // A request that is deleted while it is pending has expired, no matter who deleted it.
            RequestState::Pending | RequestState::None if self.gone => "EXPIRED",
            RequestState::Pending | RequestState::None => "PENDING",
            RequestState::Approved => "APPROVED",
            RequestState::Denied => "DENIED",
            RequestState::Promoted => "PROMOTED",
        }
    }
}
