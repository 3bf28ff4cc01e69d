//! The expected state of every request, and the check of the cards against it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use teleport_msteams::domain::lifecycle::{Audience, Record};

use crate::company::{self, Company};
use crate::messages::{Messages, posted};
use world::cluster::{Cluster, ClusterState, PluginData, State};
use world::reading::{Kind, card_of, word_of};
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
    pub(crate) requester: usize,
    pub(crate) recipients: Vec<String>,
    /// The recipient of the escalation, besides managers.
    pub(crate) lead: String,
    pub(crate) created: Option<SystemTime>,
    /// When a change other than a press resolved the request.
    pub(crate) decided: Option<SystemTime>,
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

    /// Returns the reviews of the request, or its last ones.
    pub(crate) fn reviews(&self, cluster: &Cluster) -> Vec<AccessReview> {
        let last = self.last_reviews.clone();
        last.unwrap_or_else(|| cluster.reviews(&self.id))
    }
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Email address and ID of each message that was not recorded when a daemon was killed. The ID alone is not unique: two
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
    /// Messages to the wrong person, at the wrong time, or more often than once.
    pub(crate) wrong: BTreeMap<usize, Vec<String>>,
    pub(crate) counts: Counts,
    /// A description of each reminder that did not arrive, although the request is still pending.
    pub(crate) missing_reminders: Vec<String>,
}

/// The numbers of messages besides the cards of reviewers.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requester_cards: usize,
    pub(crate) decisions: usize,
    /// Cards of leads and managers.
    pub(crate) escalated: usize,
    pub(crate) reminders: usize,
    /// One for each recorded reminder and each recipient without a review whose card was posted before it was due.
    pub(crate) expected_reminders: usize,
    pub(crate) arrived_reminders: usize,
    /// Reminders to recipients who had reviewed, because Teleport did not name the users in time.
    pub(crate) reminders_after_reviews: usize,
    pub(crate) endings: usize,
    pub(crate) recorded_endings: usize,
}

impl Verdict {
    /// Returns whether no card is missing or stale.
    pub(crate) fn is_settled(&self) -> bool {
        self.lost.is_empty() && self.stale.is_empty()
    }

    pub(crate) fn passed(&self) -> bool {
        let others = [&self.twice, &self.repeated, &self.wrong, &self.presses];
        self.is_settled() && others.into_iter().all(BTreeMap::is_empty)
    }

    /// Returns the problems of each request that has any.
    pub(crate) fn failures(&self) -> BTreeMap<usize, Vec<&str>> {
        let mut failures: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for kind in [
            &self.lost,
            &self.stale,
            &self.twice,
            &self.repeated,
            &self.wrong,
            &self.presses,
        ] {
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
    /// Remembers which messages are not recorded: a kill at this moment may have lost their IDs.
    pub(crate) fn remember_in_flight(&mut self, cluster: &Cluster, tenant: &Tenant, company: &Company) {
        let records = records(&cluster.state());
        let recorded: HashSet<(&str, &str)> = records
            .values()
            .flat_map(|(record, _)| &record.cards)
            .map(|card| (company.mail_of(&card.recipient.name), card.activity.as_str()))
            .collect();
        for user in company.everyone() {
            let mail = company::mail_of(user);
            let cards = tenant.chat_of(mail).into_iter();
            let lost = cards.filter(|card| !recorded.contains(&(mail, card.id.as_str())));
            self.in_flight.extend(lost.map(|card| (mail.to_owned(), card.id)));
        }
    }

    /// Compares the messages of all people with the expected states.
    pub(crate) fn check(&self, cluster: &Cluster, tenant: &Tenant, company: &Company) -> Verdict {
        let messages = Messages::of(tenant, company);
        let records = records(&cluster.state());
        let reminded = reminded(&cluster.state());
        let nothing = (Record::default(), PluginData::default());
        let mut verdict = Verdict::default();
        for (number, entry) in self.entries.iter().enumerate() {
            let (record, data) = records.get(&entry.id).unwrap_or(&nothing);
            let reviews = entry.reviews(cluster);
            let case = Case {
                ledger: self,
                number,
                entry,
                shows: entry.shows(cluster),
                reviews: &reviews,
                record,
                data,
                reminded: reminded.get(&entry.id).map(Vec::as_slice).unwrap_or_default(),
                company,
                messages: &messages,
            };
            case.check(&mut verdict);
        }
        verdict
    }
}

/// One request, with everything that the check of its messages depends on.
pub(crate) struct Case<'a> {
    ledger: &'a Ledger,
    pub(crate) number: usize,
    pub(crate) entry: &'a Entry,
    pub(crate) shows: &'static str,
    pub(crate) reviews: &'a [AccessReview],
    pub(crate) record: &'a Record,
    /// The plugin data that contain the record.
    pub(crate) data: &'a PluginData,
    /// The steps that each recorded reminder added. Overdue steps are one reminder.
    pub(crate) reminded: &'a [BTreeSet<String>],
    pub(crate) company: &'a Company,
    pub(crate) messages: &'a Messages,
}

impl Case<'_> {
    fn check(&self, verdict: &mut Verdict) {
        let is_pending = self.shows == "PENDING";
        for mail in &self.entry.recipients {
            self.check_cards(mail, Kind::Card, is_pending, verdict);
        }
        self.check_others(verdict);
    }

    /// Checks the cards of one person, or the messages with the decision.
    pub(crate) fn check_cards(&self, mail: &str, kind: Kind, is_required: bool, verdict: &mut Verdict) {
        let cards = self.messages.about(&self.entry.id, mail, kind);
        verdict.cards += cards.len();
        self.check_retries(mail, &cards, verdict);
        let recorded: Vec<&str> = self
            .record
            .cards
            .iter()
            .filter(|card| self.company.mail_of(&card.recipient.name) == mail)
            .filter(|card| (card.recipient.audience == Audience::Decision) == (kind == Kind::Decision))
            .map(|card| card.activity.as_str())
            .collect();
        let is_recorded = |card: &&Card| recorded.contains(&card.id.as_str());
        // Microsoft accepted the card without returning its ID: the card exists, but no daemon can update it.
        let without_id = recorded.contains(&"");
        let (known, orphans): (Vec<&Card>, Vec<&Card>) = cards.into_iter().partition(is_recorded);
        // The daemon gives up after this many posts whose responses were lost.
        let given_up = orphans.iter().filter(|card| !card.confirmed).count() >= MAX_UNKNOWN;
        let number = self.number;
        let what = kind.as_str();
        if known.is_empty() && !without_id && !given_up && is_required {
            verdict
                .lost
                .entry(number)
                .or_default()
                .push(format!("{mail} has no {what}"));
        }
        for card in &known {
            let (word, shows) = (
                card.history.last().map_or("?", |activity| word_of(card_of(activity))),
                self.shows,
            );
            if word != shows {
                let what = format!("{what} {} of {mail} shows {word}, not {shows}", card.id);
                verdict.stale.entry(number).or_default().push(what);
            }
        }
        // A first card whose ID is lost is not a duplicate, but no daemon can update it.
        for card in known.iter().skip(1).chain(&orphans) {
            let lost = format!("{what} {} of {mail} for request {}", card.id, self.entry.id);
            if !card.confirmed {
                verdict.lost_ids.push(lost);
                verdict.lost_with_answer += 1;
            } else if self.ledger.in_flight.contains(&(mail.to_owned(), card.id.clone())) {
                verdict.lost_ids.push(lost);
                verdict.lost_with_process += 1;
            } else {
                let what = format!(
                    "{mail} has {what} {} in addition to another one, or no daemon recorded it",
                    card.id
                );
                verdict.twice.entry(number).or_default().push(what);
            }
        }
    }

    /// Checks how the daemons retried posts whose responses were lost.
    fn check_retries(&self, mail: &str, cards: &[&Card], verdict: &mut Verdict) {
        let mut report = |what| verdict.repeated.entry(self.number).or_default().push(what);
        let unknown = cards.iter().filter(|card| !card.confirmed).count();
        if unknown > MAX_UNKNOWN {
            report(format!("{mail} has {unknown} cards whose responses were lost"));
        }
        for pair in cards.windows(2) {
            let (lost, next) = (posted(pair[0]), posted(pair[1]));
            let pause = next.duration_since(lost).unwrap_or_default();
            // A restarted daemon does not know the pause.
            let ended = self.ledger.ends.iter().any(|end| (lost..next).contains(end));
            if !pair[0].confirmed && pause < MIN_PAUSE && !ended {
                let id = &pair[1].id;
                report(format!("{mail} has card {id} {pause:?} after a lost response"));
            }
        }
    }
}

/// Returns the daemons' record of each request, and the plugin data that contain it.
fn records(state: &ClusterState) -> BTreeMap<String, (Record, PluginData)> {
    let records = state.plugin_data.iter().filter_map(|(id, data)| {
        let data = data.get("msteams")?;
        Some((id.clone(), (Record::decode(data)?, data.clone())))
    });
    records.collect()
}

/// Returns the steps that were recorded together, for each request.
fn reminded(state: &ClusterState) -> BTreeMap<String, Vec<BTreeSet<String>>> {
    let steps = |data: &PluginData| -> BTreeSet<String> {
        let text = data.get("x_reminded").map(String::as_str).unwrap_or_default();
        text.split(',')
            .filter(|step| !step.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut reminded: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for write in &state.writes {
        let added = &steps(&write.set) - &steps(&write.expect);
        if !added.is_empty() {
            reminded.entry(write.id.clone()).or_default().push(added);
        }
    }
    reminded
}
