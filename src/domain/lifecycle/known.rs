//! The record as Teleport has it, and what a claim writes into it.

use std::collections::BTreeMap;

use crate::domain::lifecycle::{Claim, Observed, Record};

/// The record as Teleport has it, as far as we know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Not read yet, or written by somebody else since.
    #[default]
    Unknown,
    Absent,
    Known(Box<Known>),
}

/// A record and the map it was read from, byte for byte, for compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Known {
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

impl Stored {
    /// Takes what was read from Teleport.
    pub fn from_map(map: BTreeMap<String, String>) -> Self {
        match Record::decode(&map) {
            Some(record) => Self::Known(Box::new(Known { map, record })),
            None => Self::Absent,
        }
    }

    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Known(known) => Some(&known.record),
            Self::Unknown | Self::Absent => None,
        }
    }

    /// Returns what a claim writes: our mark, and the beginning of the record if there is none. `named` is whom rules
    /// name; it is noted by the first claim alone, so rules that change do not reach a request that was announced.
    pub fn claim(&self, observed: &Observed, named: Option<&[&str]>, mark: Claim) -> Write {
        let begun = BTreeMap::new();
        let (expect, map, mut record) = match self {
            Self::Known(known) => (Record::expect_unchanged(&known.map), &known.map, known.record.clone()),
            Self::Absent | Self::Unknown => (Record::expect_absent(), &begun, Record::default()),
        };
        if let Observed::Request(request) = observed {
            if map.is_empty() {
                record = Record::begin(request);
            }
            record.expires = request.expires;
        }
        if let (Some(named), None) = (named, &record.named) {
            record.named = Some(named.iter().map(|&name| name.to_owned()).collect());
        }
        record.claim = Some(mark);
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
            Self::Absent | Self::Unknown => BTreeMap::new(),
        };
        let mut known = Known {
            map,
            record: Record::default(),
        };
        known.written(write);
        *self = Self::Known(Box::new(known));
    }
}

impl Known {
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
