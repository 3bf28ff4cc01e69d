//! The expected state of every request, and the check of the cards against it.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use teleport_msteams::domain::lifecycle::Record;

use crate::company;
use world::cluster::{Cluster, ClusterState, State};
use world::reading::{card_of, word_of};
use world::tenant::{Card, Tenant};
use world::types::AccessReview;

/// The maximum number of posts with an unknown outcome, for one request and one recipient.
const MAX_UNKNOWN: usize = 5;

/// The minimum time before a daemon retries a post with an unknown outcome.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// One request of the run, and its history.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) recipients: Vec<String>,
    /// Whether Teleport has deleted the request.
    pub(crate) is_gone: bool,
    /// The reviews at that time.
    pub(crate) last_reviews: Option<Vec<AccessReview>>,
    pub(crate) story: Vec<String>,
}

impl Entry {
    /// Returns the state that every card must show. Presses change it too, so Teleport knows it.
    pub(crate) fn shows(&self, cluster: &Cluster) -> &'static str {
        let state = cluster
            .state()
            .requests
            .get(&self.id)
            .and_then(|request| Some(request.spec.as_ref()?.state()));
        match state {
            _ if self.is_gone => "EXPIRED",
            Some(State::Approved) => "APPROVED",
            Some(State::Denied) => "DENIED",
            Some(State::Promoted) => "PROMOTED",
            Some(State::Pending | State::None) => "PENDING",
            None => "EXPIRED",
        }
    }
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Recipient and ID of each card that was not recorded when a daemon was killed. The ID alone is not unique: two
    /// conversations may use the same one.
    pub(crate) in_flight: HashSet<(String, String)>,
    /// The times at which daemons were killed or stopped.
    pub(crate) ends: Vec<SystemTime>,
}

/// The problems found, by request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) cards: usize,
    pub(crate) lost: BTreeMap<usize, Vec<String>>,
    pub(crate) stale: BTreeMap<usize, Vec<String>>,
    /// The number of posted cards whose IDs were lost with the response, or with a killed process: a recipient's first card
    /// or an additional one.
    pub(crate) lost_with_answer: usize,
    pub(crate) lost_with_process: usize,
    /// A description of each of these cards, for searching the logs.
    pub(crate) lost_ids: Vec<String>,
    pub(crate) twice: BTreeMap<usize, Vec<String>>,
    /// Presses that are not one review, and reviews that are no press.
    pub(crate) presses: BTreeMap<usize, Vec<String>>,
    /// Posts that were retried too soon or too often after one with an unknown outcome.
    pub(crate) repeated: BTreeMap<usize, Vec<String>>,
}

impl Verdict {
    /// Returns whether no card is missing or stale.
    pub(crate) fn is_settled(&self) -> bool {
        self.lost.is_empty() && self.stale.is_empty()
    }

    pub(crate) fn passed(&self) -> bool {
        self.is_settled() && self.twice.is_empty() && self.repeated.is_empty() && self.presses.is_empty()
    }

    /// Returns the problems of each request that has any.
    pub(crate) fn failures(&self) -> BTreeMap<usize, Vec<&str>> {
        let mut failures: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for kind in [&self.lost, &self.stale, &self.twice, &self.repeated, &self.presses] {
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
    /// Remembers which cards are not recorded: a kill at this moment may have lost their IDs.
    pub(crate) fn remember_in_flight(&mut self, cluster: &Cluster, tenant: &Tenant) {
        let records = records(&cluster.state());
        let recorded: HashSet<(&str, &str)> = records
            .values()
            .flat_map(|record| &record.cards)
            .map(|card| (card.recipient.name.as_str(), card.activity.as_str()))
            .collect();
        for recipient in company::mails() {
            let cards = tenant.chat_of(&recipient).into_iter();
            let lost = cards.filter(|card| !recorded.contains(&(recipient.as_str(), card.id.as_str())));
            self.in_flight.extend(lost.map(|card| (recipient.clone(), card.id)));
        }
    }

    /// Compares the cards of all recipients with the expected states.
    pub(crate) fn check(&self, cluster: &Cluster, tenant: &Tenant) -> Verdict {
        let records = records(&cluster.state());
        let mut verdict = Verdict::default();
        let mut chats: BTreeMap<&str, Vec<Card>> = BTreeMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let record = records.get(&entry.id);
            let shows = entry.shows(cluster);
            for recipient in &entry.recipients {
                let chat = chats.entry(recipient).or_insert_with(|| tenant.chat_of(recipient));
                let cards: Vec<&Card> = chat.iter().filter(|card| is_about(card, &entry.id)).collect();
                self.check_retries(number, recipient, &cards, &mut verdict);
                self.check_recipient(number, recipient, (shows, record), cards, &mut verdict);
            }
        }
        verdict
    }

    /// Checks how the daemons retried posts whose responses were lost.
    fn check_retries(&self, number: usize, recipient: &str, cards: &[&Card], verdict: &mut Verdict) {
        let mut report = |what| verdict.repeated.entry(number).or_default().push(what);
        let unknown = cards.iter().filter(|card| !card.confirmed).count();
        if unknown > MAX_UNKNOWN {
            report(format!("{recipient} has {unknown} cards whose responses were lost"));
        }
        for pair in cards.windows(2) {
            let (lost, next) = (posted(pair[0]), posted(pair[1]));
            let pause = next.duration_since(lost).unwrap_or_default();
            // A restarted daemon does not know the pause.
            let ended = self.ends.iter().any(|end| (lost..next).contains(end));
            if !pair[0].confirmed && pause < MIN_PAUSE && !ended {
                let id = &pair[1].id;
                report(format!("{recipient} has card {id} {pause:?} after a lost response"));
            }
        }
    }

    fn check_recipient(
        &self,
        number: usize,
        recipient: &str,
        (shows, record): (&'static str, Option<&Record>),
        cards: Vec<&Card>,
        verdict: &mut Verdict,
    ) {
        verdict.cards += cards.len();
        let recorded = record.map(|record| record.cards.as_slice()).unwrap_or_default();
        let recorded: Vec<&str> = recorded
            .iter()
            .filter(|card| card.recipient.name == recipient)
            .map(|card| card.activity.as_str())
            .collect();
        let is_recorded = |card: &&Card| recorded.contains(&card.id.as_str());
        // Microsoft accepted the card without returning its ID: the card exists, but no daemon can update it.
        let without_id = recorded.contains(&"");
        let (known, orphans): (Vec<&Card>, Vec<&Card>) = cards.into_iter().partition(is_recorded);
        // The daemon gives up after this many posts whose responses were lost.
        let given_up = orphans.iter().filter(|card| !card.confirmed).count() >= MAX_UNKNOWN;
        if known.is_empty() && !without_id && !given_up && shows == "PENDING" {
            let what = format!("{recipient} has no card");
            verdict.lost.entry(number).or_default().push(what);
        }
        for card in &known {
            let word = card.history.last().map_or("?", |activity| word_of(card_of(activity)));
            if word != shows {
                let what = format!("card {} of {recipient} shows {word}, not {shows}", card.id);
                verdict.stale.entry(number).or_default().push(what);
            }
        }
        // A first card whose ID is lost is not a duplicate, but no daemon can update it.
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
                let what = format!(
                    "{recipient} has card {} in addition to another one, or no daemon recorded it",
                    card.id
                );
                verdict.twice.entry(number).or_default().push(what);
            }
        }
    }
}

/// Returns the daemons' record of each request.
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

pub(crate) fn is_about(card: &Card, id: &str) -> bool {
    let first = card.history.first().map(ToString::to_string);
    first.is_some_and(|text| text.contains(id))
}
