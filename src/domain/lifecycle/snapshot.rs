//! The stored record as last read, and the writes of a claim.

use std::collections::BTreeMap;

use crate::domain::lifecycle::{Claim, Observed, Record, RoutedBy, StoredMap};
use crate::domain::recipients::Delegate;

/// The known state of the record in Teleport.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// Not read yet.
    #[default]
    Unknown,
    /// The record may be stale, because another replica may have written it or the answer to a write was lost. It must be read
    /// again; the copy is kept because plugin data may expire before the cards are closed.
    Doubted(Box<Record>),
    Absent,
    Known(Box<Snapshot>),
}

/// A record and the map it was read from, byte for byte, for compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    pub map: StoredMap,
    pub record: Record,
}

/// One compare-and-swap: the expected values, the new values, and the record if it succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    pub expect: BTreeMap<String, String>,
    pub set: BTreeMap<String, String>,
    pub record: Record,
}

impl RecordState {
    /// Applies the map that was read from Teleport. If a record with cards is gone, the known record is kept. If the map is
    /// unchanged, the known record is kept too, because it may contain more than Teleport could store.
    pub fn read(&mut self, map: &BTreeMap<String, String>) {
        let record = Record::decode(map);
        let map = StoredMap::from(map);
        *self = match (record, std::mem::take(self)) {
            (Some(_), Self::Known(known)) if known.map == map => Self::Known(known),
            (Some(record), _) => Self::Known(Box::new(Snapshot { map, record })),
            (None, Self::Doubted(record)) if !record.cards.is_empty() => {
                Self::Known(Box::new(Snapshot { map, record: *record }))
            }
            (None, _) => Self::Absent,
        };
    }

    /// Marks the record as stale, so that it is read before the next plan.
    pub fn doubt(&mut self) {
        *self = match std::mem::take(self) {
            Self::Known(known) => Self::Doubted(Box::new(known.record)),
            Self::Doubted(record) => Self::Doubted(record),
            Self::Absent | Self::Unknown => Self::Unknown,
        };
    }

    /// Returns whether the record must be read.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Unknown | Self::Doubted(_))
    }

    pub fn record(&self) -> Option<&Record> {
        self.known().map(|known| &known.record)
    }

    /// Adds delegates to a known record; the next claim stores them.
    pub fn add_delegates(&mut self, found: &[Delegate]) {
        if let Self::Known(known) = self {
            known.record.add_delegates(found);
        }
    }

    /// Returns the record with the map it was read from.
    pub fn known(&self) -> Option<&Snapshot> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unknown | Self::Doubted(_) | Self::Absent => None,
        }
    }

    /// Returns the write of a claim: our mark, and a new record if there is none. Only the first claim records `routed_by`, so
    /// changed rules do not affect a request that was announced. `brief` omits optional parts, because Teleport has rejected
    /// the record for its size.
    pub fn claim(&self, observed: &Observed, routed_by: &RoutedBy, mark: Claim, brief: bool) -> Write {
        let begun = StoredMap::default();
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

    /// Applies a claim that Teleport accepted.
    pub fn claimed(&mut self, write: Write) {
        let map = match std::mem::take(self) {
            Self::Known(known) => known.map,
            Self::Absent | Self::Unknown | Self::Doubted(_) => StoredMap::default(),
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
    /// Returns the compare-and-swap that stores `record`, if the map is unchanged since it was read.
    pub fn write(&self, record: Record) -> Write {
        Write {
            expect: Record::expect_unchanged(&self.map),
            set: changes(&self.map, &record),
            record,
        }
    }

    /// Applies a successful write.
    pub fn written(&mut self, write: Write) {
        let mut map = self.map.to_map();
        map.extend(write.set);
        map.retain(|_, value| !value.is_empty());
        self.map = StoredMap::from(&map);
        self.record = write.record;
    }
}

fn changes(map: &StoredMap, record: &Record) -> BTreeMap<String, String> {
    let mut changes = record.encode();
    changes.retain(|key, value| map.get(key).unwrap_or_default() != value);
    changes
}
