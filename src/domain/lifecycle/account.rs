//! What one run did, and how it is written down.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::lifecycle::{Claim, Known, Outcome, Record, Shown, Write};

/// The account of one run: from its claim to its last entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    shown: Shown,
    resolve_reason: String,
    known: Known,
    /// Everything done since the claim, in case somebody else's record must be taken over.
    done: Vec<Outcome>,
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// More is to come: the claim is kept.
    Interim,
    /// The last one; `complete` says that every card shows what it should.
    Last { complete: bool },
}

impl Account {
    /// Begins with the record as our claim left it. `shown` and `resolve_reason` are those of the plan.
    pub fn new(shown: Shown, resolve_reason: &str, known: Known) -> Self {
        Self {
            shown,
            resolve_reason: resolve_reason.to_owned(),
            known,
            done: Vec::new(),
        }
    }

    /// Returns the record as it was written last.
    pub fn record(&self) -> &Record {
        &self.known.record
    }

    /// Returns what is known of the record after the run.
    pub fn into_known(self) -> Known {
        self.known
    }

    /// Takes what was done, and returns the record with it.
    pub fn note(&mut self, outcomes: Vec<Outcome>, now: Timestamp) -> Record {
        let mut record = self.known.record.clone();
        for outcome in &outcomes {
            record.note(outcome.clone(), self.shown, now);
        }
        self.done.extend(outcomes);
        record
    }

    /// Returns what an entry writes: the record, with `mark` on it unless somebody else's stands there now.
    pub fn entry(&self, mut record: Record, entry: Entry, mark: Claim) -> Write {
        let taken_over = record
            .claim
            .as_ref()
            .is_some_and(|claim| claim.held && claim.owner != mark.owner);
        if !taken_over {
            let held = entry == Entry::Interim;
            record.claim = Some(Claim { held, ..mark });
            if entry == (Entry::Last { complete: true }) {
                record.conclude(self.shown, &self.resolve_reason);
            }
        }
        self.known.write(record)
    }

    /// Takes an entry that Teleport accepted.
    pub fn written(&mut self, write: Write) {
        self.known.written(write);
    }

    /// Takes an entry that can be written nowhere any more: Teleport has forgotten the request.
    pub fn keep(&mut self, record: Record) {
        self.known.record = record;
    }

    /// Takes the record that somebody else wrote, and returns it with what we did. Says too whether the claim on it is
    /// `me`'s still.
    pub fn take_over(&mut self, map: BTreeMap<String, String>, me: &str, now: Timestamp) -> (Record, bool) {
        // If everything is gone, what we know is written anew.
        let mut record = Record::decode(&map).unwrap_or_else(|| self.known.record.clone());
        let ours = record.claim.as_ref().is_some_and(|claim| claim.owner == me);
        let cards = record.cards.clone();
        let is_new = |outcome: &&Outcome| match outcome {
            Outcome::Posted { activity, .. } => !cards.iter().any(|card| card.activity == *activity),
            Outcome::Updated { .. } | Outcome::Vanished { .. } | Outcome::Refused { .. } => true,
        };
        for outcome in self.done.iter().filter(is_new) {
            record.note(outcome.clone(), self.shown, now);
        }
        self.known = Known {
            record: record.clone(),
            map,
        };
        (record, ours)
    }
}
