//! What is known of one request between its jobs, and the table of all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::daemon::outages::Services;
use crate::daemon::requests::lane_state::LaneState;
use crate::daemon::requests::turns::{Queue, QueuePlace};
use crate::daemon::requests::waiting::Waiting;
use crate::domain::lifecycle::Observed;
use crate::domain::request::{AccessRequest, RequestId};

/// Counts listings, to tell what was heard since one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listing(u64);

/// The lanes of all requests.
#[derive(Clone, Debug)]
pub(super) struct SharedTable(Arc<Mutex<Table>>);

#[derive(Debug)]
pub(super) struct Table {
    pub(super) lanes: HashMap<RequestId, Lane>,
    /// The newest listing that has begun.
    pub(super) listing: Listing,
    /// How many lanes there have been.
    pub(super) count: u64,
}

/// What is known of one request.
#[derive(Debug)]
pub(super) struct Lane {
    /// Not yet taken by a job.
    pub(super) newest: Option<Observed>,
    /// The request as it was last seen, for the card of its end.
    pub(super) last: Option<Arc<AccessRequest>>,
    /// Absent while a job has it.
    pub(super) memory: Option<LaneState>,
    /// Cancelled when something newer comes.
    pub(super) changed: CancellationToken,
    pub(super) running: bool,
    /// The end of the request was heard.
    pub(super) ended: bool,
    /// The newest listing that had begun when an event of this request was heard last.
    pub(super) heard: Option<Listing>,
    /// Absent while everybody has what there is to tell.
    pub(super) waiting: Option<Waiting>,
    /// The services which a request waits for, and what takes its place in a queue when one of them recovers.
    pub(super) woken: Option<(Services, oneshot::Sender<(QueuePlace, Services)>)>,
    /// Counts lanes in the order in which their requests came.
    pub(super) number: u64,
}

impl SharedTable {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Table {
            lanes: HashMap::new(),
            listing: Listing(0),
            count: 0,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Begins a listing. What is heard from now on is newer than what it will say.
    pub(super) fn begin_listing(&mut self) -> Listing {
        self.listing.0 += 1;
        self.listing
    }

    /// Returns the lane of a request, which begins here if there is none.
    pub(super) fn lane(&mut self, id: &RequestId, limits: &Limits) -> &mut Lane {
        let Self { lanes, count, .. } = self;
        lanes.entry(id.clone()).or_insert_with(|| {
            *count += 1;
            Lane {
                newest: None,
                last: None,
                memory: Some(LaneState::new(limits)),
                changed: CancellationToken::new(),
                running: false,
                ended: false,
                heard: None,
                waiting: None,
                woken: None,
                number: *count,
            }
        })
    }
}

impl Lane {
    /// Returns where the newest observation has to wait.
    pub(super) fn queue(&self) -> Queue {
        match &self.newest {
            Some(Observed::Request(request)) if request.stage.is_open() && !self.is_announced() => Queue::Announcements,
            Some(Observed::Request(_) | Observed::Gone(_)) | None => Queue::Updates,
        }
    }

    /// Tells whether the request is pending and has no record that we know of.
    pub(super) fn is_unrouted(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.stage.is_open()) && !self.is_announced()
    }

    /// Tells whether there is a record, as far as is known while no job has the memory.
    fn is_announced(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.record().is_some())
    }

    /// Takes a record from a list. Others may have written since we looked; if it is we who wrote since it was listed, the
    /// next claim finds out. That nothing is listed takes nothing from what we know.
    pub(super) fn learn(&mut self, record: BTreeMap<String, String>) {
        if let Some(memory) = &mut self.memory
            && (memory.stored.is_in_doubt() || !record.is_empty())
        {
            memory.read(record);
            memory.looked = true;
        }
    }
}
