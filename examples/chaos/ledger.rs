//! What is true, and what people see of it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use teleport_msteams::domain::lifecycle::Record;

use crate::world::cluster::{Cluster, ClusterState};
use crate::world::tenant::{Card, Tenant};

/// One request of the run, and what happened to it.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) recipients: Vec<String>,
    /// What every card has to show.
    pub(crate) shows: &'static str,
    pub(crate) story: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Cards that nobody had noted when a daemon was killed.
    pub(crate) in_flight: HashSet<String>,
}

/// What is wrong, request by request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) cards: usize,
    pub(crate) lost: BTreeMap<usize, Vec<String>>,
    pub(crate) stale: BTreeMap<usize, Vec<String>>,
    /// A second card that a kill or a lost answer explains.
    pub(crate) twice_explained: usize,
    pub(crate) twice: BTreeMap<usize, Vec<String>>,
}

impl Verdict {
    /// Nobody waits for anything any more.
    pub(crate) fn is_calm(&self) -> bool {
        self.lost.is_empty() && self.stale.is_empty()
    }

    pub(crate) fn is_good(&self) -> bool {
        self.is_calm() && self.twice.is_empty()
    }

    /// Returns the requests that something is wrong with, and what.
    pub(crate) fn failures(&self) -> BTreeMap<usize, Vec<&str>> {
        let mut failures: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for kind in [&self.lost, &self.stale, &self.twice] {
            for (number, what) in kind {
                failures
                    .entry(*number)
                    .or_default()
                    .extend(what.iter().map(String::as_str));
            }
        }
        failures
    }
}

impl Ledger {
    /// Notes which cards are in nobody's record: a kill at this moment may have cost their ids.
    pub(crate) fn note_in_flight(&mut self, cluster: &Cluster, tenant: &Tenant) {
        let noted = noted(&cluster.state());
        let cards = tenant.cards().into_iter().map(|(_, card)| card.id);
        self.in_flight.extend(cards.filter(|id| !noted.contains(id)));
    }

    pub(crate) fn judge(&self, cluster: &Cluster, tenant: &Tenant) -> Verdict {
        let noted = noted(&cluster.state());
        let mut verdict = Verdict::default();
        let mut chats: BTreeMap<&str, Vec<Card>> = BTreeMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            for recipient in &entry.recipients {
                let chat = chats.entry(recipient).or_insert_with(|| tenant.chat_of(recipient));
                let cards: Vec<&Card> = chat.iter().filter(|card| is_about(card, &entry.id)).collect();
                verdict.cards += cards.len();
                let (known, orphans): (Vec<&Card>, Vec<&Card>) =
                    cards.iter().copied().partition(|card| noted.contains(&card.id));
                if known.is_empty() && entry.shows == "PENDING" {
                    let what = format!("{recipient} has no card");
                    verdict.lost.entry(number).or_default().push(what);
                }
                for card in &known {
                    let word = card.history.last().map(word).unwrap_or_default();
                    if word != entry.shows {
                        let what = format!("card {} of {recipient} shows {word}, not {}", card.id, entry.shows);
                        verdict.stale.entry(number).or_default().push(what);
                    }
                }
                let second = known.iter().skip(1);
                for card in second.chain(&orphans) {
                    let explained = !card.confirmed || self.in_flight.contains(&card.id);
                    if explained {
                        // A first card with a lost id is no second one, but it was told all the same.
                        verdict.twice_explained += 1;
                    } else {
                        let what = format!("{recipient} has card {} beside another, or it was never noted", card.id);
                        verdict.twice.entry(number).or_default().push(what);
                    }
                }
            }
        }
        verdict
    }
}

/// Returns the ids of all cards that stand in a record.
fn noted(state: &ClusterState) -> HashSet<String> {
    let maps = state.plugin_data.values().filter_map(|data| data.get("msteams"));
    let records = maps.filter_map(Record::decode);
    records
        .flat_map(|record| record.cards)
        .map(|card| card.activity)
        .collect()
}

fn is_about(card: &Card, id: &str) -> bool {
    let first = card.history.first().map(ToString::to_string);
    first.is_some_and(|text| text.contains(id))
}

/// Reads the word that says where the request stands.
fn word(activity: &Value) -> String {
    let body = &activity["attachments"][0]["content"]["body"];
    let word = &body[1]["columns"][1]["items"][0]["text"];
    word.as_str().unwrap_or("?").to_owned()
}
