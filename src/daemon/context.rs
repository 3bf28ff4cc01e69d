//! What every lane works with.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::daemon::outages::OutageLog;
use crate::daemon::outages::Services;
use crate::daemon::requests::Lookups;
use crate::daemon::requests::RuleBook;
use crate::daemon::requests::Turns;
use crate::daemon::upkeep::Live;
use crate::domain::card::CardCluster;
use crate::domain::lifecycle::Claim;
use crate::msteams::Teams;
use crate::telemetry::Metrics;
use crate::teleport::Client;

/// Requests that may find out at once whether a service works again.
const PROBES: usize = 4;

pub(super) struct Context {
    pub(super) client: Client,
    pub(super) teams: Teams,
    pub(super) live: Live,
    pub(super) rules: RuleBook,
    pub(super) lookups: Lookups,
    pub(super) cluster: CardCluster,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) outages: Arc<OutageLog>,
    /// Cancelled when the daemon takes no more work.
    pub(super) stopping: CancellationToken,
    pub(super) turns: Turns,
    /// A name that no other process has, for claims.
    replica: String,
    beats: AtomicU64,
    /// Requests with open cards that the last list did not have.
    hidden: AtomicUsize,
    /// Services that work again: deliveries that failed because they were out are due.
    pub(super) retry_now: watch::Sender<Services>,
    /// Held by requests that find out whether a service works again.
    pub(super) probes: Arc<Semaphore>,
    /// Everything has to be listed and looked at again.
    pub(super) resync_now: Notify,
    /// Counts the streams of events that were opened.
    pub(super) connections: watch::Sender<u64>,
}

impl Context {
    pub(super) fn new(
        client: Client,
        teams: Teams,
        live: Live,
        cluster: CardCluster,
        limits: Limits,
        outages: Arc<OutageLog>,
        stopping: CancellationToken,
    ) -> Self {
        let metrics = outages.metrics().clone();
        let lookups = Lookups::new(client.clone());
        Self {
            client,
            teams,
            live,
            rules: RuleBook::new(metrics.clone(), limits.rules_wait),
            lookups,
            cluster,
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

    /// Returns a mark that nobody has written before.
    pub(super) fn mark(&self) -> Claim {
        Claim {
            held: true,
            owner: self.replica.clone(),
            beat: self.beats.fetch_add(1, Ordering::Relaxed),
            witness: None,
        }
    }

    /// Notes how many requests with open cards a list did not have; tells whether that is another number than before.
    pub(super) fn note_unlisted(&self, hidden: usize) -> bool {
        self.hidden.swap(hidden, Ordering::Relaxed) != hidden
    }

    /// Returns our name, as it stands in our marks.
    pub(super) fn replica(&self) -> &str {
        &self.replica
    }
}
