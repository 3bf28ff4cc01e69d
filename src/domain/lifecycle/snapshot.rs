//! The record as Teleport has it, and what a claim writes into it.

use std::collections::BTreeMap;

use crate::domain::lifecycle::{Claim, Observed, Record, RoutedBy};

/// The record as Teleport has it, as far as we know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// Not read yet.
    #[default]
    Unknown,
    /// Perhaps written by somebody else since, or by a call of ours whose answer was lost; to be read again. It is kept in
    /// case that nothing is left to read: plugin data may end before we have closed the cards.
    Doubted(Box<Record>),
    Absent,
    Known(Box<Snapshot>),
}

/// A record and the map it was read from, byte for byte, for compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    pub map: BTreeMap<String, String>,
    pub record: Record,
}

/// One compare-and-swap: what has to be there, what is written, and what the record says if it succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    pub expect: BTreeMap<String, String>,
    pub set: BTreeMap<String, String>,
    pub record: Record,
}

impl RecordState {
    /// Takes what was read from Teleport. If nothing is left there of a record with cards, what we knew holds on; and if nothing
    /// was written since, we may know more than what could be stored.
    pub fn read(&mut self, map: BTreeMap<String, String>) {
        *self = match (Record::decode(&map), std::mem::take(self)) {
            (Some(_), Self::Known(known)) if known.map == map => Self::Known(known),
            (Some(record), _) => Self::Known(Box::new(Snapshot { map, record })),
            (None, Self::Doubted(record)) if !record.cards.is_empty() => {
                Self::Known(Box::new(Snapshot { map, record: *record }))
            }
            (None, _) => Self::Absent,
        };
    }

    /// Makes sure that the record is read before anything is decided.
    pub fn doubt(&mut self) {
        *self = match std::mem::take(self) {
            Self::Known(known) => Self::Doubted(Box::new(known.record)),
            Self::Doubted(record) => Self::Doubted(record),
            Self::Absent | Self::Unknown => Self::Unknown,
        };
    }

    /// Tells whether the record has to be read.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Unknown | Self::Doubted(_))
    }

    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Known(known) => Some(&known.record),
            Self::Unknown | Self::Doubted(_) | Self::Absent => None,
        }
    }

    /// Returns what a claim writes: our mark, and the beginning of the record if there is none. `routed_by` is
    /// noted by the first claim alone, so rules that change do not reach a request that was announced. `brief`
    /// leaves out what is not needed, because Teleport has refused the record for its size.
    pub fn claim(&self, observed: &Observed, routed_by: &RoutedBy, mark: Claim, brief: bool) -> Write {
        let begun = BTreeMap::new();
        let (expect, map, mut record) = match self {
            Self::Known(known) => (Record::expect_unchanged(&known.map), &known.map, known.record.clone()),
            Self::Absent | Self::Unknown | Self::Doubted(_) => (Record::expect_absent(), &begun, Record::default()),
        };
        if let Observed::Request(request) = observed {
            if map.is_empty() && record.cards.is_empty() {
                record = Record::begin(request);
            }
            record.expires = request.expires;
        }
        if record.routed_by == RoutedBy::Unknown {
            record.routed_by.clone_from(routed_by);
        }
        record.claim = Some(mark);
        record.brief |= brief;
        Write {
            expect,
            set: changes(map, &record),
            record,
        }
    }

    /// Takes a claim that Teleport accepted.
    pub fn claimed(&mut self, write: Write) {
        let map = match std::mem::take(self) {
            Self::Known(known) => known.map,
            Self::Absent | Self::Unknown | Self::Doubted(_) => BTreeMap::new(),
        };
        let mut known = Snapshot {
            map,
            record: Record::default(),
        };
        known.written(write);
        *self = Self::Known(Box::new(known));
    }
}

impl Snapshot {
    /// Returns what makes the stored map say what `record` says, if nobody has written since it was read.
    pub fn write(&self, record: Record) -> Write {
        Write {
            expect: Record::expect_unchanged(&self.map),
            set: changes(&self.map, &record),
            record,
        }
    }

    /// Takes a write that succeeded.
    pub fn written(&mut self, write: Write) {
        self.map.extend(write.set);
        self.map.retain(|_, value| !value.is_empty());
        self.record = write.record;
    }
}

fn changes(map: &BTreeMap<String, String>, record: &Record) -> BTreeMap<String, String> {
    let mut changes = record.encode();
    changes.retain(|key, value| map.get(key).map_or("", String::as_str) != value);
    changes
}
