//! What is true, and what people see of it.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use teleport_msteams::domain::lifecycle::Record;

use crate::company;
use world::cluster::{Cluster, ClusterState};
use world::tenant::{Card, Tenant};

/// How many posts of one request to one recipient may be of unknown fate.
const MOST_UNKNOWN: usize = 5;

/// How long a daemon waits at least after a post of unknown fate.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

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
    /// Recipient and id of each card that no record had when a daemon was killed. The id alone is not enough: two
    /// conversations may use the same one.
    pub(crate) in_flight: HashSet<(String, String)>,
    /// When daemons were killed or stopped.
    pub(crate) ends: Vec<SystemTime>,
}

/// What is wrong, request by request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) cards: usize,
    pub(crate) lost: BTreeMap<usize, Vec<String>>,
    pub(crate) stale: BTreeMap<usize, Vec<String>>,
    /// Cards that were posted and whose ids were lost with the answer, or with the process that was killed: the first card of
    /// a recipient, or one beside it.
    pub(crate) lost_with_answer: usize,
    pub(crate) lost_with_process: usize,
    /// Each of them, for who wants to look into the logs.
    pub(crate) lost_ids: Vec<String>,
    pub(crate) twice: BTreeMap<usize, Vec<String>>,
    /// Posts that were repeated too soon or too often after one whose fate was unknown.
    pub(crate) repeated: BTreeMap<usize, Vec<String>>,
}

impl Verdict {
    /// Nobody waits for anything any more.
    pub(crate) fn is_calm(&self) -> bool {
        self.lost.is_empty() && self.stale.is_empty()
    }

    pub(crate) fn is_good(&self) -> bool {
        self.is_calm() && self.twice.is_empty() && self.repeated.is_empty()
    }

    /// Returns the requests that something is wrong with, and what.
    pub(crate) fn failures(&self) -> BTreeMap<usize, Vec<&str>> {
        let mut failures: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for kind in [&self.lost, &self.stale, &self.twice, &self.repeated] {
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
    /// Notes which cards are in no record: a kill at this moment may have cost their ids.
    pub(crate) fn note_in_flight(&mut self, cluster: &Cluster, tenant: &Tenant) {
        let records = records(&cluster.state());
        let noted: HashSet<(&str, &str)> = records
            .values()
            .flat_map(|record| &record.cards)
            .map(|card| (card.recipient.name.as_str(), card.activity.as_str()))
            .collect();
        for recipient in company::mails() {
            let cards = tenant.chat_of(&recipient).into_iter();
            let lost = cards.filter(|card| !noted.contains(&(recipient.as_str(), card.id.as_str())));
            self.in_flight.extend(lost.map(|card| (recipient.clone(), card.id)));
        }
    }

    /// Holds what everybody sees against what is true.
    pub(crate) fn judge(&self, cluster: &Cluster, tenant: &Tenant) -> Verdict {
        let records = records(&cluster.state());
        let mut verdict = Verdict::default();
        let mut chats: BTreeMap<&str, Vec<Card>> = BTreeMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let record = records.get(&entry.id);
            for recipient in &entry.recipients {
                let chat = chats.entry(recipient).or_insert_with(|| tenant.chat_of(recipient));
                let cards: Vec<&Card> = chat.iter().filter(|card| is_about(card, &entry.id)).collect();
                self.judge_repeats(number, recipient, &cards, &mut verdict);
                self.judge_one(number, recipient, record, cards, &mut verdict);
            }
        }
        verdict
    }

    /// Checks how the daemons went on after posts whose answers were lost.
    fn judge_repeats(&self, number: usize, recipient: &str, cards: &[&Card], verdict: &mut Verdict) {
        let mut complain = |what| verdict.repeated.entry(number).or_default().push(what);
        let unknown = cards.iter().filter(|card| !card.confirmed).count();
        if unknown > MOST_UNKNOWN {
            complain(format!("{recipient} has {unknown} cards whose answers were lost"));
        }
        for pair in cards.windows(2) {
            let (lost, next) = (posted(pair[0]), posted(pair[1]));
            let pause = next.duration_since(lost).unwrap_or_default();
            // A daemon that has ended knows of no pause.
            let ended = self.ends.iter().any(|end| (lost..next).contains(end));
            if !pair[0].confirmed && pause < SHORTEST_PAUSE && !ended {
                let id = &pair[1].id;
                complain(format!("{recipient} has card {id} {pause:?} after a lost answer"));
            }
        }
    }

    fn judge_one(
        &self,
        number: usize,
        recipient: &str,
        record: Option<&Record>,
        cards: Vec<&Card>,
        verdict: &mut Verdict,
    ) {
        let shows = self.entries[number].shows;
        verdict.cards += cards.len();
        let noted = record.map(|record| record.cards.as_slice()).unwrap_or_default();
        let noted: Vec<&str> = noted
            .iter()
            .filter(|noted| noted.recipient.name == recipient)
            .map(|noted| noted.activity.as_str())
            .collect();
        let is_noted = |card: &&Card| noted.contains(&card.id.as_str());
        // Microsoft took the card and kept the id to itself: it is there, and nobody can ever change it.
        let without_id = noted.contains(&"");
        let (known, orphans): (Vec<&Card>, Vec<&Card>) = cards.into_iter().partition(is_noted);
        // So many posts whose answers were lost are not repeated any more.
        let given_up = orphans.iter().filter(|card| !card.confirmed).count() >= MOST_UNKNOWN;
        if known.is_empty() && !without_id && !given_up && shows == "PENDING" {
            let what = format!("{recipient} has no card");
            verdict.lost.entry(number).or_default().push(what);
        }
        for card in &known {
            let word = card.history.last().map(word).unwrap_or_default();
            if word != shows {
                let what = format!("card {} of {recipient} shows {word}, not {shows}", card.id);
                verdict.stale.entry(number).or_default().push(what);
            }
        }
        // A first card whose id is lost is no second one, but it cannot be kept true either.
        for card in known.iter().skip(1).chain(&orphans) {
            let id = &self.entries[number].id;
            let lost = format!("card {} of {recipient} for request {id}", card.id);
            if !card.confirmed {
                verdict.lost_ids.push(lost);
                verdict.lost_with_answer += 1;
            } else if self.in_flight.contains(&(recipient.to_owned(), card.id.clone())) {
                verdict.lost_ids.push(lost);
                verdict.lost_with_process += 1;
            } else {
                let what = format!("{recipient} has card {} beside another, or it was never noted", card.id);
                verdict.twice.entry(number).or_default().push(what);
            }
        }
    }
}

/// Returns what the daemons noted of each request.
fn records(state: &ClusterState) -> BTreeMap<String, Record> {
    let records = state.plugin_data.iter().filter_map(|(id, data)| {
        let record = Record::decode(data.get("msteams")?)?;
        Some((id.clone(), record))
    });
    records.collect()
}

fn posted(card: &Card) -> SystemTime {
    card.times.first().copied().unwrap_or(SystemTime::UNIX_EPOCH)
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
