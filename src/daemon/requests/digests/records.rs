//! What a replica learns about shared cards from events and records.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use crate::daemon::requests::digests::Digests;
use crate::daemon::requests::digests::table::{CardPlace, DigestId, DigestTable};
use crate::domain::card::{Content, DigestLine, Remembered};
use crate::domain::lifecycle::{Posted, Record, Shown};
use crate::domain::request::{AccessRequest, RequestId};
use crate::teleport::PluginData;

/// A shared card in the record of a request.
struct Found {
    place: CardPlace,
    /// The recipient of the card, as the record writes it.
    recipient: String,
    /// The line of the request.
    line: DigestLine,
    /// What the record says that the card shows.
    recorded: Shown,
    /// This replica wrote the record last.
    is_own: bool,
}

impl Digests {
    /// Applies a newer state of a request to the cards that it is on.
    pub(in crate::daemon::requests) fn observe(&self, request: &Arc<AccessRequest>) {
        if state_of(request).is_some() && self.lock().by_request.contains_key(&request.id) {
            let line = self.line(&Content::Request(Arc::clone(request)));
            self.lock().advance(&line, Instant::now());
        }
    }

    /// Learns the shared cards of a request from its record, after a job for the request has ended. `me` is this replica's
    /// name. Such a card is drawn again if this replica drew it without knowing that, or another one may have done so.
    ///
    /// A record without the card proves nothing: it may be older than the card.
    pub(in crate::daemon::requests) fn learn(&self, request: &RequestId, record: &Record, me: &str) {
        let found = self.found(request, record, me);
        let (now, mut table) = (Instant::now(), self.lock());
        let mut is_behind = false;
        for found in found {
            if found.is_of_interest(&table) {
                let digest = table.at(found.place, &found.recipient, now);
                is_behind |= table.learn(digest, found.line, found.recorded, found.is_own, now);
            }
        }
        if is_behind {
            self.behind.notify_one();
        }
    }

    /// Learns the requests on shared cards from all records.
    pub(in crate::daemon::requests) fn learn_all(&self, records: &PluginData, me: &str) {
        self.learn_members(records, me, None);
    }

    /// Learns the requests on shared cards from all records, also those on the `wanted` card if they are resolved.
    pub(super) fn learn_members(&self, records: &PluginData, me: &str, wanted: Option<DigestId>) {
        let maps = records.iter().filter_map(|(id, map)| Some((id, map.as_ref()?)));
        let shared = maps.filter(|(_, map)| Record::has_shared_card(map));
        let records = shared.filter_map(|(id, map)| Some((id, Record::decode(map)?)));
        let all: Vec<Found> = records
            .flat_map(|(id, record)| self.found(&RequestId::new(id.as_str()), &record, me))
            .collect();
        let (now, mut table) = (Instant::now(), self.lock());
        let of_interest = of_interest(&all, &table);
        let mut complete: HashSet<_> = wanted.into_iter().collect();
        let mut is_full = false;
        for found in all {
            if !of_interest.contains(&found.place) {
                continue;
            }
            // A card that would replace another one while records are read could be known in part.
            is_full |= table.is_full();
            if is_full && table.find(&found.place, &found.recipient).is_none() {
                continue;
            }
            let digest = table.at(found.place, &found.recipient, now);
            table.learn(digest, found.line, found.recorded, found.is_own, now);
            complete.insert(digest);
        }
        for digest in complete {
            if let Some(known) = table.digests.get_mut(&digest) {
                known.is_complete = true;
            }
        }
    }

    /// Returns the shared cards in a record.
    fn found(&self, id: &RequestId, record: &Record, me: &str) -> Vec<Found> {
        let is_own = record.claim.as_ref().is_some_and(|claim| claim.owner == me);
        let shared = |card: &&Posted| card.digest && !card.activity.is_empty();
        let shared = record.cards.iter().filter(shared);
        let found = shared.filter_map(|card| {
            let recorded = record.shown(card);
            Some(Found {
                place: (card.conversation.clone()?, card.activity.clone()),
                recipient: card.recipient.name.clone(),
                line: self.line_of(id, record, recorded),
                recorded,
                is_own,
            })
        });
        found.collect()
    }

    /// Returns the line of a request that has a record. An event may have arrived before it was known that the request is on
    /// the card, and the request says more than its record.
    fn line_of(&self, id: &RequestId, record: &Record, recorded: Shown) -> DigestLine {
        let last = self.lanes.lock().last(id);
        let seen = last.as_ref().and_then(|last| state_of(last));
        let Shown { stage, reviews, .. } = seen.filter(|seen| seen.is_ahead_of(recorded)).unwrap_or(recorded);
        let content = match last {
            Some(request) => Content::Request(request),
            None => Content::Record(Remembered {
                id: id.clone(),
                user: record.user.clone(),
                roles: record.roles.clone(),
                reason: String::new(),
                reviews,
                stage,
                resolve_reason: String::new(),
            }),
        };
        let mut line = self.line(&content);
        (line.stage, line.reviews) = (stage, reviews);
        line
    }
}

impl Found {
    /// Returns whether the card can still change, as far as this record shows, or is known.
    fn is_of_interest(&self, table: &DigestTable) -> bool {
        self.line.stage.is_open() || table.find(&self.place, &self.recipient).is_some()
    }
}

/// Returns the places of the cards that can still change, or are known.
fn of_interest(all: &[Found], table: &DigestTable) -> HashSet<CardPlace> {
    let key = |found: &Found| (found.recipient.to_ascii_lowercase(), found.place.1.clone());
    let first = all.iter().filter(|found| found.is_of_interest(table));
    let mut keys: HashSet<_> = first.clone().map(key).collect();
    let mut places: HashSet<CardPlace> = first.map(|found| found.place.clone()).collect();
    // Other records may name another recipient of the conversation, and another conversation of the recipient.
    loop {
        let before = (places.len(), keys.len());
        for found in all {
            if places.contains(&found.place) || keys.contains(&key(found)) {
                places.insert(found.place.clone());
                keys.insert(key(found));
            }
        }
        if (places.len(), keys.len()) == before {
            return places;
        }
    }
}

/// Returns what a shared card shows of a request, unless its stage is of no meaning there.
fn state_of(request: &AccessRequest) -> Option<Shown> {
    let is_shown = request.stage.is_open() || request.stage.is_resolved();
    is_shown.then(|| Shown::new(request.stage, request.reviews.len()))
}
