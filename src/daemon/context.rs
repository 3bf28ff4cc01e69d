//! The shared context of every lane.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::daemon::groups::Groups;
use crate::daemon::outages::OutageLog;
use crate::daemon::outages::Services;
use crate::daemon::reminders::Agenda;
use crate::daemon::requests::Digests;
use crate::daemon::requests::LaneTable;
use crate::daemon::requests::Lookups;
use crate::daemon::requests::Names;
use crate::daemon::requests::RuleBook;
use crate::daemon::requests::Turns;
use crate::daemon::upkeep::{InForce, Live};
use crate::domain::card::CardCluster;
use crate::domain::lifecycle::Claim;
use crate::domain::review::ReasonRule;
use crate::msteams::Teams;
use crate::telemetry::Metrics;
use crate::teleport::Client;

/// The number of requests that can probe a service at the same time.
const PROBES: usize = 4;

pub(super) struct Context {
    pub(super) client: Client,
    pub(super) teams: Teams,
    pub(super) live: Live,
    pub(super) rules: RuleBook,
    pub(super) lookups: Lookups,
    pub(super) names: Names,
    /// The newest states of all requests.
    pub(super) lanes: LaneTable,
    pub(super) digests: Digests,
    pub(super) groups: Groups,
    /// When requests are due without an event.
    pub(super) agenda: Agenda,
    /// It was logged that managers cannot be read.
    pub(super) managers_warned: AtomicBool,
    /// It was logged that the presence of people cannot be read.
    pub(super) presence_warned: AtomicBool,
    pub(super) cluster: CardCluster,
    /// Whether the cluster accepts reviews on behalf of people.
    pub(super) knows_reviews: bool,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) outages: Arc<OutageLog>,
    /// Cancelled when the daemon accepts no more work.
    pub(super) stopping: CancellationToken,
    pub(super) turns: Turns,
    /// The name of this process in claims; no other process has it.
    replica: String,
    beats: AtomicU64,
    /// The number of requests with open cards that were missing from the last list.
    hidden: AtomicUsize,
    /// Recovered services, which make failed deliveries due.
    pub(super) retry_now: watch::Sender<Services>,
    /// Held by requests that probe a service.
    pub(super) probes: Arc<Semaphore>,
    /// Requests a resync.
    pub(super) resync_now: Notify,
    /// The number of opened event streams.
    pub(super) connections: watch::Sender<u64>,
}

impl Context {
    pub(super) fn new(
        client: Client,
        teams: Teams,
        live: Live,
        (cluster, knows_reviews): (CardCluster, bool),
        limits: Limits,
        outages: Arc<OutageLog>,
        stopping: CancellationToken,
    ) -> Self {
        let metrics = outages.metrics().clone();
        let lookups = Lookups::new(client.clone());
        let names = Names::new(client.clone());
        let lanes = LaneTable::default();
        Self {
            client,
            teams,
            live,
            rules: RuleBook::new(metrics.clone(), limits.rules_wait),
            lookups,
            names,
            digests: Digests::new(cluster.clone(), limits.digest_within, lanes.clone()),
            lanes,
            groups: Groups::new(&limits),
            agenda: Agenda::default(),
            managers_warned: AtomicBool::new(false),
            presence_warned: AtomicBool::new(false),
            cluster,
            knows_reviews,
            limits,
            metrics,
            outages,
            stopping,
            turns: Turns::new(),
            replica: uuid::Uuid::new_v4().simple().to_string(),
            beats: AtomicU64::new(0),
            hidden: AtomicUsize::new(0),
            retry_now: watch::Sender::new(Services::NONE),
            probes: Arc::new(Semaphore::new(PROBES)),
            resync_now: Notify::new(),
            connections: watch::Sender::new(0),
        }
    }

    /// Returns a mark that was never written before.
    pub(super) fn mark(&self) -> Claim {
        Claim {
            held: true,
            owner: self.replica.clone(),
            beat: self.beats.fetch_add(1, Ordering::Relaxed),
            witness: None,
        }
    }

    /// Records the number of requests with open cards that were missing from a list. Returns whether it has changed.
    pub(super) fn note_unlisted(&self, hidden: usize) -> bool {
        self.hidden.swap(hidden, Ordering::Relaxed) != hidden
    }

    /// Returns when a review needs a reason, if cards have buttons.
    pub(super) fn reviews(&self, live: &InForce) -> Option<ReasonRule> {
        let settings = &live.review;
        (settings.enabled && self.knows_reviews).then_some(settings.reason)
    }

    /// Returns the name of this replica in its marks.
    pub(super) fn replica(&self) -> &str {
        &self.replica
    }
}
