//! What a lane keeps in mind between two runs.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::config::Limits;
use crate::daemon::waiting::Waiting;
use crate::domain::lifecycle::Record;
use crate::domain::recipients::Address;

/// The record as Teleport has it, as far as we know.
#[derive(Clone, Debug, Default)]
pub(super) enum Stored {
    /// Not read yet, or written by somebody else since.
    #[default]
    Unknown,
    Absent,
    Known(Box<Known>),
}

/// A record and the map it was read from, byte for byte, for compare-and-swap.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) map: BTreeMap<String, String>,
    pub(super) record: Record,
}

/// The memory of one lane. It ends with the lane, and with the process; nothing depends on it but speed, and the last
/// update of a card whose record ended before its request.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) stored: Stored,
    /// The record was looked for once, be it only by trying to create it.
    pub(super) looked: bool,
    /// Addresses of people who were told under another address.
    pub(super) told: HashSet<Address>,
    pub(super) again: Backoff,
    /// Runs that failed for now, since the last one that did not.
    pub(super) failures: u32,
    /// Somebody else's mark, and since when we have seen it unchanged.
    pub(super) foreign: Option<(String, Instant)>,
    /// Since when people wait for what the present run has to tell.
    pub(super) waiting: Option<Waiting>,
}

impl Memory {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            stored: Stored::Unknown,
            looked: false,
            told: HashSet::new(),
            again: Backoff::new(limits.again_first_pause, limits.again_longest_pause),
            failures: 0,
            foreign: None,
            waiting: None,
        }
    }

    /// Takes what was read from Teleport.
    pub(super) fn read(&mut self, map: BTreeMap<String, String>) {
        self.stored = Stored::from_map(map);
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match &self.stored {
            Stored::Known(known) => Some(&known.record),
            Stored::Unknown | Stored::Absent => None,
        }
    }

    /// Returns how long somebody else's mark must still be respected; zero once it has not changed for `term`.
    pub(super) fn respect(&mut self, mark: &str, term: Duration) -> Duration {
        let now = Instant::now();
        match &self.foreign {
            Some((seen, since)) if seen == mark => term.saturating_sub(now.duration_since(*since)),
            Some(_) | None => {
                self.foreign = Some((mark.to_owned(), now));
                term
            }
        }
    }
}

impl Stored {
    pub(super) fn from_map(map: BTreeMap<String, String>) -> Self {
        match Record::decode(&map) {
            Some(record) => Self::Known(Box::new(Known { map, record })),
            None => Self::Absent,
        }
    }
}

impl Known {
    /// Returns what has to be written so that the stored map says what `record` says.
    pub(super) fn changes(map: &BTreeMap<String, String>, record: &Record) -> BTreeMap<String, String> {
        let mut changes = record.encode();
        changes.retain(|key, value| map.get(key).map_or("", String::as_str) != value);
        changes
    }

    /// Takes a write that succeeded.
    pub(super) fn written(&mut self, changes: BTreeMap<String, String>, record: Record) {
        self.map.extend(changes);
        self.map.retain(|_, value| !value.is_empty());
        self.record = record;
    }
}
