//! What one run did, and how it is written down.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::lifecycle::{Claim, Outcome, Record, Shown, Snapshot, Write};

/// The account of one run: from its claim to its last entry. `shown` and `resolve_reason` are those of its newest plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunLog {
    shown: Shown,
    resolve_reason: String,
    known: Snapshot,
    /// Everything done since the claim, in case somebody else's record must be taken over.
    done: Vec<Outcome>,
    /// How much of it Teleport has accepted.
    noted: usize,
    /// Somebody else has written since the claim, and may have updated what we update: of our updates that are not noted
    /// yet nobody knows whether they came last.
    disputed: bool,
    /// Such an update was noted, so a plan has to be made anew.
    contested: bool,
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// More is to come: the claim is kept.
    Interim,
    /// The last one; `complete` says that every card shows what it should.
    Last { complete: bool },
}

impl RunLog {
    /// Begins with the record as our claim left it. `shown` and `resolve_reason` are those of the plan.
    pub fn new(shown: Shown, resolve_reason: &str, known: Snapshot) -> Self {
        Self {
            shown,
            resolve_reason: resolve_reason.to_owned(),
            known,
            done: Vec::new(),
            noted: 0,
            disputed: false,
            contested: false,
        }
    }

    /// Goes on with a newer plan.
    pub fn aim(&mut self, shown: Shown, resolve_reason: &str) {
        self.shown = shown;
        resolve_reason.clone_into(&mut self.resolve_reason);
    }

    /// Returns what the cards of the newest plan show.
    pub fn shown(&self) -> Shown {
        self.shown
    }

    /// Returns the record as it was written last.
    pub fn record(&self) -> &Record {
        &self.known.record
    }

    /// Tells whether somebody else may have updated a card that we updated too: a plan has to be made anew.
    pub fn is_contested(&self) -> bool {
        self.contested
    }

    /// Returns what is known of the record after the run.
    pub fn into_known(self) -> Snapshot {
        self.known
    }

    /// Takes what was done, and returns the record with it.
    pub fn note(&mut self, outcomes: Vec<Outcome>, now: Timestamp) -> Record {
        let mut record = self.known.record.clone();
        for outcome in &outcomes {
            self.apply(&mut record, outcome, now);
        }
        self.done.extend(outcomes);
        record
    }

    /// Returns what an entry writes: the record, with `mark` on it. If somebody else's stands there now it stays theirs, and
    /// nothing is written but what we did; `mark` is its witness if they may have updated the same cards.
    pub fn entry(&self, mut record: Record, entry: Entry, mark: Claim) -> Option<Write> {
        let new = &self.done[self.noted..];
        match &mut record.claim {
            Some(claim) if claim.held && claim.owner != mark.owner => {
                if new.is_empty() {
                    return None;
                }
                if new.iter().any(|outcome| matches!(outcome, Outcome::Updated { .. })) {
                    claim.witness = Some(format!("{}/{}", mark.owner, mark.beat));
                }
            }
            Some(_) | None => {
                let held = entry == Entry::Interim;
                record.claim = Some(Claim { held, ..mark });
                let complete = entry == (Entry::Last { complete: true }) && !self.contested;
                if complete && record.all_show(self.shown) {
                    record.conclude(self.shown, &self.resolve_reason);
                }
            }
        }
        Some(self.known.write(record))
    }

    /// Takes an entry that Teleport accepted.
    pub fn written(&mut self, write: Write) {
        self.known.written(write);
        self.noted = self.done.len();
    }

    /// Takes an entry that can be written nowhere any more: Teleport has forgotten the request.
    pub fn keep(&mut self, record: Record) {
        self.known.record = record;
        self.noted = self.done.len();
    }

    /// Takes the record that somebody else wrote, and returns it with what we did. Says too whether the claim on it is
    /// `me`'s still.
    pub fn take_over(&mut self, map: BTreeMap<String, String>, me: &str, now: Timestamp) -> (Record, bool) {
        // If everything is gone, what we know is written anew.
        let mut record = Record::decode(&map).unwrap_or_else(|| self.known.record.clone());
        let claim = record.claim.as_ref();
        let ours = claim.is_some_and(|claim| claim.owner == me);
        self.disputed |= !ours || claim.is_some_and(|claim| claim.witness.is_some());
        self.known = Snapshot {
            map,
            record: record.clone(),
        };
        for (number, outcome) in self.done.clone().iter().enumerate() {
            let is_noted = match outcome {
                Outcome::Posted {
                    recipient, activity, ..
                } => record.card(recipient, activity).is_some(),
                Outcome::Vanished { .. } => false,
                // Whoever has changed a card since had read it, and each failure counts once.
                Outcome::Updated { .. } | Outcome::Refused { .. } | Outcome::Unconfirmed { .. } => number < self.noted,
            };
            if !is_noted {
                self.apply(&mut record, outcome, now);
            }
        }
        (record, ours)
    }

    /// Records one thing that was done; if it is disputed, only what can be relied on.
    fn apply(&mut self, record: &mut Record, outcome: &Outcome, now: Timestamp) {
        let mut outcome = outcome.clone();
        if let Outcome::Updated {
            recipient,
            activity,
            shown,
            ..
        } = &mut outcome
            && self.disputed
            && let Some(theirs) = record.card(recipient, activity)
        {
            let theirs = record.shown(theirs);
            if !theirs.satisfies(*shown) {
                *shown = theirs.lower_bound(*shown);
                self.contested = true;
            }
        }
        record.note(outcome, now);
    }
}
