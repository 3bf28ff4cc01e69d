//! What the program counts, for Prometheus.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::domain::request::Stage;
use crate::domain::rules::FailureKind;
use crate::telemetry::labels::{Audience, Delivery, DeliveryKind, Peer};
use crate::telemetry::logs;
use crate::telemetry::process::Process;
use crate::telemetry::readings::{Readings, Source};
use crate::telemetry::traffic::Traffic;

/// Every name begins with this, except those of `process.rs`.
const PREFIX: &str = "teleport_msteams";

/// How long a card may take, in seconds: from two round trips to what Microsoft's longest pauses make of a burst.
const DELAYS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// The content type of [`Metrics::text`].
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters and gauges of one daemon; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Numbers>);

#[derive(Debug)]
struct Numbers {
    registry: Registry,
    requests: IntCounterVec,
    open_requests: IntGauge,
    unfinished_requests: IntGauge,
    deliveries: IntCounterVec,
    delivery_seconds: HistogramVec,
    traffic: Traffic,
    reloads: IntCounterVec,
    watch_connected: IntGauge,
    reconnects: IntCounter,
    last_resync: IntGauge,
    identity_expiry: IntGauge,
    identity_renewals: IntCounterVec,
    rules: IntGaugeVec,
    rule_errors: IntCounterVec,
    log_lines_dropped: IntCounter,
    /// Where what changes all the time is read when somebody asks.
    source: RwLock<Option<Source>>,
    /// Held during a scrape: two at the same time would both add a difference to a counter.
    scrape: Mutex<()>,
}

impl Metrics {
    /// Sets up everything at zero.
    ///
    /// # Panics
    /// Never: the names are constants, valid and different.
    pub fn new() -> Self {
        let registry = Registry::new();
        registry
            .register(Box::new(Process::new()))
            .expect("each name is used once");
        let build = IntGaugeVec::new(
            options("build_info", "The running program; always 1."),
            &["version", "commit"],
        );
        let build = register(&registry, build);
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), env!("BUILD_COMMIT")])
            .set(1);
        let counter = |name, help| register(&registry, IntCounter::with_opts(options(name, help)));
        let counters = |name, help, label| register(&registry, IntCounterVec::new(options(name, help), &[label]));
        let gauge = |name, help| register(&registry, IntGauge::with_opts(options(name, help)));
        let numbers = Numbers {
            requests: counters(
                "request_events_total",
                "Events of access requests, by the state they showed.",
                "state",
            ),
            open_requests: gauge("open_requests", "Requests that are kept an eye on."),
            unfinished_requests: gauge(
                "unfinished_requests",
                "Requests whose cards are not all as they should be.",
            ),
            delivery_seconds: register(&registry, delays()),
            traffic: Traffic::new(&registry),
            reloads: counters(
                "reloads_total",
                "Times that the configuration was read again, by whether it was taken up.",
                "outcome",
            ),
            deliveries: register(&registry, deliveries()),
            watch_connected: gauge("watch_connected", "Whether events of Teleport are received: 0 or 1."),
            reconnects: counter(
                "reconnects_total",
                "Streams of events that broke, and attempts to open one that failed.",
            ),
            last_resync: gauge(
                "last_resync_timestamp_seconds",
                "When everything was last listed and compared; 0 if never.",
            ),
            identity_expiry: gauge(
                "identity_expiry_timestamp_seconds",
                "When the newest credentials for Teleport end.",
            ),
            identity_renewals: counters(
                "identity_renewals_total",
                "New credentials that were taken up, and files that could not be used, by outcome.",
                "outcome",
            ),
            rules: register(
                &registry,
                IntGaugeVec::new(
                    options(
                        "rules",
                        "Access monitoring rules for this program, by whether they can be understood.",
                    ),
                    &["state"],
                ),
            ),
            rule_errors: counters(
                "rule_errors_total",
                "Rules that could not be asked about a request, by what failed.",
                "kind",
            ),
            log_lines_dropped: counter(
                "log_lines_dropped_total",
                "Log lines that the reader or the disk did not accept.",
            ),
            source: RwLock::default(),
            scrape: Mutex::default(),
            registry: registry.clone(),
        };
        let metrics = Self(Arc::new(numbers));
        metrics.begin_at_zero();
        metrics
    }

    /// Shows what never happened as zero, or a rate of it is nothing.
    fn begin_at_zero(&self) {
        let numbers = &self.0;
        for outcome in [
            Delivery::Posted,
            Delivery::Updated,
            Delivery::Refused,
            Delivery::Deferred,
        ] {
            self.delivered(outcome, 0);
        }
        // No event shows an expired request: Teleport deletes it.
        for stage in Stage::SHOWN.into_iter().filter(|stage| *stage != Stage::Expired) {
            numbers.requests.with_label_values(&[&label(stage)]);
        }
        for outcome in ["done", "failed"] {
            numbers.identity_renewals.with_label_values(&[outcome]);
        }
        for kind in FailureKind::ALL {
            numbers.rule_errors.with_label_values(&[kind.as_str()]);
        }
        for outcome in ["done", "refused"] {
            numbers.reloads.with_label_values(&[outcome]);
        }
        for kind in [
            DeliveryKind::Announcement,
            DeliveryKind::Review,
            DeliveryKind::Resolution,
        ] {
            let labels = [Audience::Reviewers.label(), kind.label()];
            numbers.delivery_seconds.with_label_values(&labels);
        }
        self.rules(0, 0);
    }

    /// Reads gauges from there whenever somebody asks.
    pub fn read_from(&self, source: impl Fn() -> Readings + Send + Sync + 'static) {
        let mut place = self.0.source.write().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Source::new(source));
    }

    pub fn request_event(&self, stage: Stage) {
        self.0.requests.with_label_values(&[&label(stage)]).inc();
    }

    pub fn delivered(&self, outcome: Delivery, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let labels = [Audience::Reviewers.label(), outcome.label()];
        self.0.deliveries.with_label_values(&labels).inc_by(count);
    }

    /// Notes that a card was accepted so long after what it tells of was heard.
    pub fn delivery_took(&self, kind: DeliveryKind, delay: Duration) {
        let labels = [Audience::Reviewers.label(), kind.label()];
        self.0
            .delivery_seconds
            .with_label_values(&labels)
            .observe(delay.as_secs_f64());
    }

    pub fn retried(&self, peer: Peer) {
        self.0.traffic.retried(peer);
    }

    pub fn throttled(&self, peer: Peer) {
        self.0.traffic.throttled(peer);
    }

    /// Notes that a token for a service was asked for.
    pub fn token_refreshed(&self, service: Peer, well: bool) {
        self.0.traffic.token_refreshed(service, well);
    }

    /// Notes that the configuration was read again.
    pub fn reloaded(&self, well: bool) {
        let outcome = if well { "done" } else { "refused" };
        self.0.reloads.with_label_values(&[outcome]).inc();
    }

    pub fn connected(&self) {
        self.0.watch_connected.set(1);
    }

    pub fn disconnected(&self) {
        self.0.watch_connected.set(0);
        self.0.reconnects.inc();
    }

    pub fn resynced(&self, now: Timestamp) {
        self.0.last_resync.set(now.as_second());
    }

    pub fn identity_ends(&self, at: Timestamp) {
        self.0.identity_expiry.set(at.as_second());
    }

    pub fn identity_renewed(&self, well: bool) {
        let outcome = if well { "done" } else { "failed" };
        self.0.identity_renewals.with_label_values(&[outcome]).inc();
    }

    /// Notes how many rules are in force, and how many cannot be understood.
    pub fn rules(&self, in_force: usize, broken: usize) {
        for (state, count) in [("in_force", in_force), ("broken", broken)] {
            set(&self.0.rules.with_label_values(&[state]), count);
        }
    }

    pub fn rule_failed(&self, kind: FailureKind) {
        self.0.rule_errors.with_label_values(&[kind.as_str()]).inc();
    }

    /// Writes everything in Prometheus' text format.
    pub fn text(&self) -> String {
        let _alone = self.0.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_readings();
        let mut text = Vec::new();
        // Only a name that is used twice could fail, and memory takes what is written.
        let _ = TextEncoder::new().encode(&self.0.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Metrics {
    fn take_readings(&self) {
        let lines = &self.0.log_lines_dropped;
        lines.inc_by(logs::dropped().saturating_sub(lines.get()));
        let source = self.0.source.read().unwrap_or_else(PoisonError::into_inner);
        let Some(source) = &*source else { return };
        let Readings {
            open_requests,
            unfinished_requests,
            queued_for_graph,
            queued_for_bot,
        } = source.read();
        set(&self.0.open_requests, open_requests);
        set(&self.0.unfinished_requests, unfinished_requests);
        self.0.traffic.queued(Peer::Graph, queued_for_graph);
        self.0.traffic.queued(Peer::Bot, queued_for_bot);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn label(stage: Stage) -> String {
    stage.as_str().to_lowercase()
}

pub(super) fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}_{name}"), help)
}

fn deliveries() -> prometheus::Result<IntCounterVec> {
    let help = "Cards posted or updated for one recipient, by whom they are drawn for and by outcome.";
    IntCounterVec::new(options("deliveries_total", help), &["audience", "outcome"])
}

fn delays() -> prometheus::Result<HistogramVec> {
    let name = "delivery_seconds";
    let help = "From the moment when something was heard of a request until a card that tells it was accepted.";
    let options = HistogramOpts::from(options(name, help)).buckets(DELAYS.to_vec());
    HistogramVec::new(options, &["audience", "change"])
}

pub(super) fn set(gauge: &IntGauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}

pub(super) fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let made = made.expect("the names are constants and valid");
    registry
        .register(Box::new(made.clone()))
        .expect("each name is used once");
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every series before anything has happened, which `tests/monitoring` lets Prometheus scrape.
    #[test]
    fn everything_is_there_from_the_start() {
        let text = Metrics::new().text();
        // The values of the process differ in each run.
        let lines = text.lines().filter(|line| !line.starts_with("process_"));
        let text = lines.fold(String::new(), |text, line| text + line + "\n");
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!("metrics", text.replace(env!("BUILD_COMMIT"), "COMMIT"));
    }
}
