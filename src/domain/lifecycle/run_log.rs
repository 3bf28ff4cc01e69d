//! The log of one run: its outcomes, and the entries that record them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::lifecycle::{Claim, Outcome, Record, Shown, Snapshot, StoredMap, Write};

/// The log of one run, from its claim to its last entry. `shown` and `resolve_reason` are those of its newest plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunLog {
    shown: Shown,
    resolve_reason: String,
    known: Snapshot,
    /// All outcomes since the claim, to merge them into a record of another replica.
    done: Vec<Outcome>,
    /// The number of outcomes that Teleport has accepted.
    recorded: usize,
    /// Another replica has written since the claim and may have updated the same cards, so the order of our unrecorded updates
    /// is unknown.
    disputed: bool,
    /// Such an update was recorded, so a new plan is necessary.
    contested: bool,
}

/// The purpose of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// More entries follow: the claim is kept.
    Interim,
    /// The last entry; `complete` means that every card is up to date.
    Last { complete: bool },
}

impl RunLog {
    /// Starts with the record that the claim wrote. `shown` and `resolve_reason` are those of the plan.
    pub fn new(shown: Shown, resolve_reason: &str, known: Snapshot) -> Self {
        Self {
            shown,
            resolve_reason: resolve_reason.to_owned(),
            known,
            done: Vec::new(),
            recorded: 0,
            disputed: false,
            contested: false,
        }
    }

    /// Continues with a newer plan.
    pub fn aim(&mut self, shown: Shown, resolve_reason: &str) {
        self.shown = shown;
        resolve_reason.clone_into(&mut self.resolve_reason);
    }

    /// Returns what the cards of the newest plan show.
    pub fn shown(&self) -> Shown {
        self.shown
    }

    /// Returns the last written record.
    pub fn record(&self) -> &Record {
        &self.known.record
    }

    /// Returns whether another replica may have updated a card that we also updated, so that a new plan is necessary.
    pub fn is_contested(&self) -> bool {
        self.contested
    }

    /// Returns the state of the record after the run.
    pub fn into_known(self) -> Snapshot {
        self.known
    }

    /// Adds outcomes, and returns the record with them.
    pub fn note(&mut self, outcomes: Vec<Outcome>, now: Timestamp) -> Record {
        let mut record = self.known.record.clone();
        for outcome in &outcomes {
            self.apply(&mut record, outcome, now);
        }
        self.done.extend(outcomes);
        record
    }

    /// Returns the write of an entry: the record with `mark`. If another replica holds the claim now, the claim stays unchanged
    /// and only our outcomes are written; `mark` is the witness if that replica may have updated the same cards.
    pub fn entry(&self, mut record: Record, entry: Entry, mark: Claim) -> Option<Write> {
        let new = &self.done[self.recorded..];
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

    /// Applies an entry that Teleport accepted.
    pub fn written(&mut self, write: Write) {
        self.known.written(write);
        self.recorded = self.done.len();
    }

    /// Applies an entry that cannot be written, because Teleport has deleted the request.
    pub fn keep(&mut self, record: Record) {
        self.known.record = record;
        self.recorded = self.done.len();
    }

    /// Merges our outcomes into the record that another replica wrote. Also returns whether `me` still holds the claim.
    pub fn take_over(&mut self, map: &BTreeMap<String, String>, me: &str, now: Timestamp) -> (Record, bool) {
        // If the record is gone, it is written again from our copy.
        let mut record = Record::decode(map).unwrap_or_else(|| self.known.record.clone());
        let claim = record.claim.as_ref();
        let ours = claim.is_some_and(|claim| claim.owner == me);
        self.disputed |= !ours || claim.is_some_and(|claim| claim.witness.is_some());
        self.known = Snapshot {
            map: StoredMap::from(map),
            record: record.clone(),
        };
        for (number, outcome) in self.done.clone().iter().enumerate() {
            let is_recorded = match outcome {
                Outcome::Posted {
                    recipient, activity, ..
                } => record.card(recipient, activity).is_some(),
                Outcome::Vanished { .. } => false,
                // A replica that changed a card since then had read it, and each failure counts once.
                Outcome::Updated { .. } | Outcome::Refused { .. } | Outcome::Unconfirmed { .. } => {
                    number < self.recorded
                }
            };
            if !is_recorded {
                self.apply(&mut record, outcome, now);
            }
        }
        (record, ours)
    }

    /// Records one outcome; if the order of updates is unknown, it records the earlier state.
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
