//! Lists everything after each connect, on request, and on a timer: one listing at a time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::clock;
use crate::daemon::context::Context;
use crate::daemon::outages::{Outage, Report};
use crate::daemon::requests::lanes::Lanes;
use crate::daemon::requests::listing::{Past, Round, list};
use crate::heartbeat::Heartbeat;
use crate::telemetry::{Health, systemd};
use crate::teleport::{Error, Meaning, Watch};

/// The least time between two listings on request, so that many reloads cause few listings.
const APART: Duration = Duration::from_millis(500);

/// The recorded end has whole seconds, and clocks differ.
const AFTER_AN_END: Duration = Duration::from_secs(1);

/// The listing service.
pub(in crate::daemon) struct Resync {
    context: Arc<Context>,
    lanes: Lanes,
    health: Health,
    /// Changes with each opened stream.
    connections: watch::Receiver<u64>,
    /// Receives the error that ends the start.
    failed: mpsc::Sender<Error>,
    past: Past,
    backoff: Backoff,
    outages: OutageLog,
}

/// Outages of single lists while the rest of Teleport answers.
#[derive(Debug, Default)]
struct OutageLog {
    rules: Outage,
    records: Outage,
    requests: Outage,
}

impl Resync {
    pub(in crate::daemon) fn new(
        context: Arc<Context>,
        lanes: Lanes,
        health: Health,
        failed: mpsc::Sender<Error>,
    ) -> Self {
        let limits = &context.limits;
        let backoff = Backoff::new(limits.resync_first_pause, limits.teleport_longest_pause);
        Self {
            connections: context.connections.subscribe(),
            context,
            lanes,
            health,
            failed,
            past: Past::default(),
            backoff,
            outages: OutageLog::default(),
        }
    }

    /// Lists for as long as the daemon runs.
    pub(in crate::daemon) async fn run(mut self, heartbeat: Heartbeat) -> Option<Infallible> {
        let mut connections = self.connections.clone();
        // Wait for the first connection: a list is compared with its events.
        heartbeat.while_waiting(connections.changed()).await.ok()?;
        loop {
            // A listing on an older connection is obsolete, so a new connection cancels it.
            connections.mark_unchanged();
            self.past.reconnected();
            self.backoff.reset();
            select! {
                changed = connections.changed() => changed.ok()?,
                () = self.keep(&heartbeat) => {}
            }
        }
    }

    /// Lists immediately, and then whenever a listing is due, on one connection.
    async fn keep(&mut self, heartbeat: &Heartbeat) {
        // The watch was just opened.
        let mut fresh = true;
        let mut some_missing = false;
        loop {
            let begun = Instant::now();
            if some_missing && !fresh {
                // Without a new grant, an absence proves nothing.
                fresh = heartbeat.while_waiting(Watch::open(&self.context.client)).await.is_ok();
            }
            // Boxed, because a listing needs much more memory than the wait for the next one.
            let listing = Box::pin(list(&self.context, &self.lanes, &mut self.past, fresh));
            let round = heartbeat.while_waiting(listing).await;
            (fresh, some_missing) = (false, round.some_missing);
            let due = Instant::now() + self.take(&round).await;
            heartbeat.while_waiting(self.until(begun + APART, due)).await;
        }
    }

    /// Waits until a listing is due, or is requested and not too soon after the last one.
    async fn until(&self, soonest: Instant, due: Instant) {
        select! {
            () = sleep_until(due) => {}
            () = self.context.resync_now.notified() => sleep_until(soonest).await,
        }
    }

    /// Reports the result of a listing, and returns the pause until the next one.
    async fn take(&mut self, round: &Round) -> Duration {
        let failures = [&round.rules, &round.records, &round.requests].map(|result| result.as_ref().err());
        if let [_, records, requests] = failures
            && !self.health.has_started()
            && let Some(denied) = [records, requests]
                .into_iter()
                .flatten()
                .find(|error| matches!(error.meaning(), Meaning::Denied | Meaning::Caller))
        {
            // The error ends the daemon, and this service with it.
            let _ = self.failed.send(denied.clone()).await;
            std::future::pending::<()>().await;
        }
        self.report(failures);
        if round.requests.is_ok() {
            self.ready();
        }
        if failures.iter().any(Option::is_some) {
            return self.backoff.pause();
        }
        self.backoff.reset();
        self.context.metrics.resynced(clock::now());
        let every = self.context.limits.resync_every;
        // An unobserved end is handled at that time, before the timer.
        let end = round.next_end.map(|end| {
            let left = Duration::try_from(end.duration_since(clock::now())).unwrap_or_default();
            left + AFTER_AN_END
        });
        let judged = round.some_missing.then_some(self.context.limits.absent_for);
        every.min(end.unwrap_or(every)).min(judged.unwrap_or(every))
    }

    fn report(&mut self, failures: [Option<&Error>; 3]) {
        let outages = &self.context.outages;
        if let [_, Some(_), Some(error)] = failures {
            // Teleport does not answer at all, which has a separate line. An answer about rules proves nothing: a
            // server without them answers any caller.
            outages.teleport_failed(error);
            debug!(%error, hint = error.hint(), "Could not list Access Requests and plugin data, retrying");
            return;
        }
        outages.teleport_works();
        let OutageLog {
            rules,
            records,
            requests,
        } = &mut self.outages;
        for (resource, outage, failure) in [
            ("access_monitoring_rule", rules, failures[0]),
            ("access_plugin_data", records, failures[1]),
            ("access_request", requests, failures[2]),
        ] {
            let now = Instant::now();
            match failure {
                None if outage.works(now).is_some() => info!(resource, "Teleport resources can be listed again"),
                None => {}
                Some(error) => {
                    let hint = error.hint();
                    if let Some(Report { failures, .. }) = outage.fails(now, &error.to_string()) {
                        warn!(resource, %error, hint, failures, "Could not list Teleport resources, retrying");
                    } else {
                        debug!(resource, %error, hint, "Could not list Teleport resources, retrying");
                    }
                }
            }
        }
    }

    fn ready(&self) {
        if self.health.has_started() {
            debug!("Everything compared");
            return;
        }
        self.health.resynced();
        info!("Plugin is ready");
        systemd::ready();
    }
}
