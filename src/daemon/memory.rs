//! What a lane keeps in mind between two runs.

use std::collections::BTreeMap;
use std::collections::HashSet;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::config::Limits;
use crate::daemon::waiting::Waiting;
use crate::domain::lifecycle::{Foreign, Record, Stored};
use crate::domain::recipients::Address;

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
    pub(super) foreign: Foreign<Instant>,
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
            foreign: Foreign::none(),
            waiting: None,
        }
    }

    /// Takes what was read from Teleport.
    pub(super) fn read(&mut self, map: BTreeMap<String, String>) {
        self.stored.read(map);
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.stored.record()
    }
}
