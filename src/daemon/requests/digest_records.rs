//! What a replica learns about shared cards from events and records.

use std::collections::HashSet;

use tokio::time::Instant;

use crate::daemon::requests::digest_table::Place;
use crate::daemon::requests::digests::Digests;
use crate::domain::card::{Content, DigestLine, Remembered};
use crate::domain::lifecycle::{Posted, Record, Shown};
use crate::domain::request::{AccessRequest, RequestId};
use crate::teleport::PluginData;

/// A shared card in the record of a request: its place, the line of the request, and the state that the record says.
type Found = (Place, DigestLine, Shown);

impl Digests {
    /// Applies a newer state of a request to the cards that it is on.
    pub(super) fn observe(&self, request: &AccessRequest) {
        if request.stage.is_open() || request.stage.is_resolved() {
            let shown = Shown::new(request.stage, request.reviews.len());
            self.lock().advance(&request.id, shown, Instant::now());
        }
    }

    /// Learns the shared cards of a request from its record, after a job for the request has ended. `me` is this replica's
    /// name. Such a card is drawn again if this replica drew it without knowing that, or another one may have done so.
    ///
    /// A record without the card proves nothing: it may be older than the card.
    pub(super) fn learn(&self, request: &RequestId, record: &Record, me: &str) {
        let (now, lines) = (Instant::now(), self.lines(request, record));
        let is_own = is_own(record, me);
        let mut table = self.lock();
        let mut is_behind = false;
        for (place, line, recorded) in lines {
            if line.stage.is_open() || table.by_card.contains_key(&place) {
                let digest = table.at(place, now);
                is_behind |= table.learn(digest, line, recorded, is_own, now);
            }
        }
        if is_behind {
            self.behind.notify_one();
        }
    }

    /// Learns the requests on all shared cards from all records.
    pub(super) fn learn_all(&self, records: &PluginData, me: &str) {
        let maps = records.iter().filter_map(|(id, map)| Some((id, map.as_ref()?)));
        let shared = maps.filter(|(_, map)| Record::has_shared_card(map));
        let mut lines = Vec::new();
        for (id, map) in shared {
            if let Some(record) = Record::decode(map) {
                let is_own = is_own(&record, me);
                let of_record = self.lines(&RequestId::new(id.as_str()), &record);
                lines.extend(of_record.into_iter().map(|found| (found, is_own)));
            }
        }
        let (now, mut table) = (Instant::now(), self.lock());
        // A card without a pending request does not change any more.
        let is_of_interest =
            |((place, line, _), _): &&(Found, bool)| line.stage.is_open() || table.by_card.contains_key(place);
        let of_interest = lines.iter().filter(is_of_interest);
        let of_interest: HashSet<Place> = of_interest.map(|((place, ..), _)| place.clone()).collect();
        for ((place, line, recorded), is_own) in lines {
            if of_interest.contains(&place) {
                let digest = table.at(place, now);
                table.learn(digest, line, recorded, is_own, now);
                if let Some(known) = table.digests.get_mut(&digest) {
                    known.is_complete = true;
                }
            }
        }
    }

    /// Returns the shared cards in a record.
    fn lines(&self, id: &RequestId, record: &Record) -> Vec<Found> {
        let shared = |card: &&Posted| card.digest && !card.activity.is_empty();
        let shared = record.cards.iter().filter(shared);
        let lines = shared.filter_map(|card| {
            let recorded = record.shown(card);
            // An event may have arrived before it was known that the request is on the card.
            let seen = self.lanes.lock().last_shown(id);
            let Shown { stage, reviews, .. } = seen.filter(|seen| seen.is_ahead_of(recorded)).unwrap_or(recorded);
            let remembered = Remembered {
                id: id.clone(),
                user: record.user.clone(),
                roles: record.roles.clone(),
                reason: String::new(),
                reviews,
                stage,
                resolve_reason: String::new(),
            };
            let place = (card.conversation.clone()?, card.activity.clone());
            Some((place, self.line(&Content::Record(remembered)), recorded))
        });
        lines.collect()
    }
}

/// Returns whether this replica wrote the record last.
fn is_own(record: &Record, me: &str) -> bool {
    record.claim.as_ref().is_some_and(|claim| claim.owner == me)
}
