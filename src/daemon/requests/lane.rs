//! The state of one request between its jobs, and the table of all requests.

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

/// The number of a listing, which orders events and listings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listing(u64);

/// The lanes of all requests. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct LaneTable(Arc<Mutex<AllLanes>>);

#[derive(Debug, Default)]
pub(super) struct AllLanes {
    pub(super) lanes: HashMap<RequestId, Lane>,
    /// The newest listing that has begun.
    pub(super) listing: Listing,
    /// The number of lanes created.
    pub(super) count: u64,
}

/// The state of one request.
#[derive(Debug)]
pub(super) struct Lane {
    /// The newest observation, until a job takes it.
    pub(super) newest: Option<Observed>,
    /// The last observed state of the request, for the card of its end.
    pub(super) last: Option<Arc<AccessRequest>>,
    /// Absent while a job holds it. Boxed, because the table reserves more lanes than it has, and a queued job reserves memory for
    /// the state.
    pub(super) memory: Option<Box<LaneState>>,
    /// Cancelled when a newer observation arrives.
    pub(super) changed: CancellationToken,
    pub(super) running: bool,
    /// The job waits, and every reviewer is up to date.
    pub(super) resting: bool,
    /// The end of the request was observed.
    pub(super) ended: bool,
    /// The newest listing that had begun when the last event of this request arrived.
    pub(super) heard: Option<Listing>,
    /// Absent while every recipient is up to date.
    pub(super) waiting: Option<Waiting>,
    /// The services that the request waits for, and the sender that enters it in a queue when one recovers.
    pub(super) woken: Option<(Services, oneshot::Sender<(QueuePlace, Services)>)>,
    /// The number of the lane, in order of arrival.
    pub(super) number: u64,
}

impl LaneTable {
    pub(super) fn lock(&self) -> MutexGuard<'_, AllLanes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AllLanes {
    /// Begins a listing. Events from now on are newer than its result.
    pub(super) fn begin_listing(&mut self) -> Listing {
        self.listing.0 += 1;
        self.listing
    }

    /// Returns a request as last observed.
    pub(super) fn last(&self, id: &RequestId) -> Option<Arc<AccessRequest>> {
        self.lanes.get(id)?.last.clone()
    }

    /// Returns the lane of a request, and creates it if there is none.
    pub(super) fn lane(&mut self, id: &RequestId, limits: &Limits) -> &mut Lane {
        let Self { lanes, count, .. } = self;
        lanes.entry(id.clone()).or_insert_with(|| {
            *count += 1;
            Lane {
                newest: None,
                last: None,
                memory: Some(Box::new(LaneState::new(limits))),
                changed: CancellationToken::new(),
                running: false,
                resting: false,
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
    /// Returns the queue of the newest observation.
    pub(super) fn queue(&self) -> Queue {
        match &self.newest {
            Some(Observed::Request(request)) if request.stage.is_open() && !self.is_announced() => Queue::Announcements,
            Some(Observed::Request(_) | Observed::Gone(_)) | None => Queue::Updates,
        }
    }

    /// Returns whether the request is pending without a known record.
    pub(super) fn is_unrouted(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.stage.is_open()) && !self.is_announced()
    }

    /// Returns whether there is a record, as far as is known while no job holds the state.
    fn is_announced(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.record().is_some())
    }

    /// Records a record from a list, because another writer may have changed it. If this replica wrote after the
    /// listing, the next claim detects it. A record that is missing from the list changes nothing.
    pub(super) fn learn(&mut self, record: &BTreeMap<String, String>) {
        if let Some(memory) = &mut self.memory
            && (memory.stored.is_in_doubt() || !record.is_empty())
        {
            memory.read(record);
            memory.looked = true;
        }
    }
}
