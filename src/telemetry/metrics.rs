//! The metrics of the daemon, for Prometheus.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, prometheus_text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::domain::lifecycle::{Audience, Change};
use crate::domain::request::Stage;
use crate::domain::review::{Outcome as ReviewOutcome, Verb};
use crate::domain::rules::FailureKind;
use crate::telemetry::labels::{Delivery, Inbound, Outcome, Peer, Reminded, Reminder, Reviewed, RuleState};
use crate::telemetry::logs;
use crate::telemetry::process::Process;
use crate::telemetry::readings::{Readings, Source};

/// The prefix of every name, except those of `process.rs`.
const PREFIX: &str = "teleport_msteams";

/// Buckets of the delivery time, in seconds: from two round trips to a burst with Microsoft's longest pauses.
const DELAYS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Buckets of the time to answer a press, in seconds. Teams expects an answer within five.
const ANSWERS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0];

/// The content type of [`Metrics::text`].
pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// The counters and gauges of one daemon; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    numbers: Arc<Numbers>,
    registry: Arc<RwLock<Registry>>,
}

#[derive(Debug)]
struct Numbers {
    requests: Family<Stage, Counter>,
    deliveries: Family<(Audience, Delivery), Counter>,
    delivery_seconds: Family<(Audience, Change), Histogram, fn() -> Histogram>,
    reminders: Family<(Reminder, Reminded), Counter>,
    retries: Family<Peer, Counter>,
    throttles: Family<Peer, Counter>,
    token_refreshes: Family<(Peer, Outcome), Counter>,
    reloads: Family<Outcome, Counter>,
    watch_connected: Gauge,
    reconnects: Counter,
    last_resync: Gauge,
    identity_expiry: Gauge,
    certificate_expiry: Gauge,
    identity_renewals: Family<Outcome, Counter>,
    rules: Family<RuleState, Gauge>,
    rule_errors: Family<FailureKind, Counter>,
    reviews: Family<(Verb, Reviewed), Counter>,
    inbound: Family<Inbound, Counter>,
    press_seconds: Histogram,
}

impl Metrics {
    /// Creates all metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::new()));
        let numbers = Numbers::new();
        numbers.register(registry.sub_registry_with_prefix(PREFIX));
        Self {
            numbers: Arc::new(numbers),
            registry: Arc::new(RwLock::new(registry)),
        }
    }

    /// Sets the source that gauges are read from at each scrape.
    pub fn read_from(&self, source: impl Fn() -> Readings + Send + Sync + 'static) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        let ours = registry.sub_registry_with_prefix(PREFIX);
        ours.register_collector(Box::new(Source::new(source)));
    }

    pub fn request_event(&self, stage: Stage) {
        self.numbers.requests.get_or_create(&stage).inc();
    }

    pub fn delivered(&self, audience: Audience, outcome: Delivery) {
        self.numbers.deliveries.get_or_create(&(audience, outcome)).inc();
    }

    /// Records the time from receiving an event to Microsoft accepting the card.
    pub fn delivery_took(&self, audience: Audience, change: Change, delay: Duration) {
        let histogram = self.numbers.delivery_seconds.get_or_create(&(audience, change));
        histogram.observe(delay.as_secs_f64());
    }

    /// Records a reminder, and whether it was sent.
    pub fn reminded(&self, kind: Reminder, ok: bool) {
        let outcome = if ok { Reminded::Sent } else { Reminded::Failed };
        self.numbers.reminders.get_or_create(&(kind, outcome)).inc();
    }

    pub fn retried(&self, peer: Peer) {
        self.numbers.retries.get_or_create(&peer).inc();
    }

    pub fn throttled(&self, peer: Peer) {
        self.numbers.throttles.get_or_create(&peer).inc();
    }

    /// Records a token request and its outcome.
    pub fn token_refreshed(&self, service: Peer, ok: bool) {
        let outcome = if ok { Outcome::Done } else { Outcome::Failed };
        self.numbers.token_refreshes.get_or_create(&(service, outcome)).inc();
    }

    /// Records a reload and its outcome.
    pub fn reloaded(&self, ok: bool) {
        let outcome = if ok { Outcome::Done } else { Outcome::Refused };
        self.numbers.reloads.get_or_create(&outcome).inc();
    }

    pub fn connected(&self) {
        self.numbers.watch_connected.set(1);
    }

    pub fn disconnected(&self) {
        self.numbers.watch_connected.set(0);
        self.numbers.reconnects.inc();
    }

    pub fn resynced(&self, now: Timestamp) {
        self.numbers.last_resync.set(now.as_second());
    }

    pub fn identity_ends(&self, at: Timestamp) {
        self.numbers.identity_expiry.set(at.as_second());
    }

    pub fn certificate_ends(&self, at: Option<Timestamp>) {
        self.numbers.certificate_expiry.set(at.map_or(0, Timestamp::as_second));
    }

    pub fn identity_renewed(&self, ok: bool) {
        let outcome = if ok { Outcome::Done } else { Outcome::Failed };
        self.numbers.identity_renewals.get_or_create(&outcome).inc();
    }

    /// Records the numbers of valid and invalid rules.
    pub fn rules(&self, valid: usize, broken: usize) {
        for (state, count) in [(RuleState::InForce, valid), (RuleState::Broken, broken)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.numbers.rules.get_or_create(&state).set(count);
        }
    }

    pub fn rule_failed(&self, kind: FailureKind) {
        self.numbers.rule_errors.get_or_create(&kind).inc();
    }

    /// Records a press and its outcome.
    pub fn reviewed(&self, verb: Verb, outcome: ReviewOutcome) {
        let labels = (verb, Reviewed(outcome.as_str()));
        self.numbers.reviews.get_or_create(&labels).inc();
    }

    /// Records a request to the bot.
    pub fn inbound(&self, outcome: Inbound) {
        self.numbers.inbound.get_or_create(&outcome).inc();
    }

    /// Records the time from receiving a press to its answer.
    pub fn press_answered(&self, after: Duration) {
        self.numbers.press_seconds.observe(after.as_secs_f64());
    }

    /// Returns all metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_text::encode(&mut text, &registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Numbers {
    /// Creates every series at zero, because Prometheus computes no rate for a series that appears with its first value.
    fn new() -> Self {
        let (login, graph, bot) = (Peer::Login, Peer::Graph, Peer::Bot);
        // No event has the state EXPIRED: Teleport deletes the request.
        let stages = Stage::SHOWN.into_iter().filter(|stage| *stage != Stage::Expired);
        let delivery_seconds = Family::new_with_constructor((|| Histogram::new(DELAYS)) as fn() -> _);
        for (audience, change) in pairs(Audience::ALL, Change::ALL) {
            drop(delivery_seconds.get_or_create(&(audience, change)));
        }
        Self {
            requests: at_zero(stages),
            deliveries: at_zero(pairs(Audience::ALL, Delivery::ALL)),
            delivery_seconds,
            reminders: at_zero(pairs(Reminder::ALL, Reminded::ALL)),
            retries: at_zero([login, graph, bot, Peer::Teleport]),
            throttles: at_zero([login, graph, bot]),
            token_refreshes: at_zero(
                [graph, bot]
                    .into_iter()
                    .flat_map(|api| [(api, Outcome::Done), (api, Outcome::Failed)]),
            ),
            reloads: at_zero([Outcome::Done, Outcome::Refused]),
            watch_connected: Gauge::default(),
            reconnects: Counter::default(),
            last_resync: Gauge::default(),
            identity_expiry: Gauge::default(),
            certificate_expiry: Gauge::default(),
            identity_renewals: at_zero([Outcome::Done, Outcome::Failed]),
            rules: at_zero([RuleState::InForce, RuleState::Broken]),
            rule_errors: at_zero(FailureKind::ALL),
            reviews: at_zero(pairs(Verb::ALL, Reviewed::all())),
            inbound: at_zero(Inbound::ALL),
            press_seconds: Histogram::new(ANSWERS),
        }
    }

    /// Registers each metric. The library appends a full stop to each help text, and `_total` to counters.
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "build",
            "Version and commit of the running program; always 1",
            Info::new([("version", env!("CARGO_PKG_VERSION")), ("commit", env!("BUILD_COMMIT"))]),
        );
        registry.register(
            "request_events",
            "Access Request events received, repeats included, by the state they show",
            self.requests.clone(),
        );
        registry.register(
            "deliveries",
            "Cards posted or updated for one recipient, by audience and outcome",
            self.deliveries.clone(),
        );
        registry.register(
            "delivery_seconds",
            "Time from receiving a request event to Microsoft accepting the card, by audience and change",
            self.delivery_seconds.clone(),
        );
        registry.register(
            "reminders",
            "Reminders for one person or channel, by kind and outcome",
            self.reminders.clone(),
        );
        registry.register(
            "retries",
            "Calls and deliveries retried after a failure, by the API that failed; see reconnects_total for streams",
            self.retries.clone(),
        );
        registry.register(
            "throttles",
            "Responses from Microsoft that ask to slow down (429), by API",
            self.throttles.clone(),
        );
        registry.register(
            "token_refreshes",
            "Tokens requested from Microsoft, by the API they are for and by outcome",
            self.token_refreshes.clone(),
        );
        registry.register("reloads", "Configuration reloads, by outcome", self.reloads.clone());
        registry.register(
            "watch_connected",
            "Whether the daemon receives events from Teleport: 0 or 1",
            self.watch_connected.clone(),
        );
        registry.register(
            "reconnects",
            "Event streams that broke, and attempts to open one that failed",
            self.reconnects.clone(),
        );
        registry.register(
            "last_resync_timestamp_seconds",
            "Unix time of the last complete resync with Teleport; 0 if none",
            self.last_resync.clone(),
        );
        registry.register(
            "identity_expiry_timestamp_seconds",
            "Unix time when the newest Teleport credentials expire",
            self.identity_expiry.clone(),
        );
        registry.register(
            "client_certificate_expiry_timestamp_seconds",
            "Unix time when the client certificate of the app expires; 0 without a certificate",
            self.certificate_expiry.clone(),
        );
        registry.register(
            "identity_renewals",
            "New credentials loaded, and files that could not be used, by outcome",
            self.identity_renewals.clone(),
        );
        registry.register(
            "rules",
            "Access Monitoring Rules for this plugin, by whether they can be evaluated",
            self.rules.clone(),
        );
        registry.register(
            "rule_errors",
            "Rule evaluations that failed, by kind of error",
            self.rule_errors.clone(),
        );
        registry.register(
            "reviews",
            "Buttons pressed in Teams, by verb and outcome",
            self.reviews.clone(),
        );
        registry.register(
            "inbound_requests",
            "HTTP requests to the bot, by outcome",
            self.inbound.clone(),
        );
        registry.register(
            "press_answer_seconds",
            "Time from receiving a press to its answer",
            self.press_seconds.clone(),
        );
        registry.register_collector(Box::new(LogLines));
    }
}

/// Returns every combination of two labels.
fn pairs<A: Copy, B>(
    all: impl IntoIterator<Item = A>,
    others: impl IntoIterator<Item = B> + Clone,
) -> impl Iterator<Item = (A, B)> {
    let each = move |one| others.clone().into_iter().map(move |other| (one, other));
    all.into_iter().flat_map(each)
}

fn at_zero<L, M>(labels: impl IntoIterator<Item = L>) -> Family<L, M>
where
    L: Clone + Eq + std::hash::Hash,
    M: Default,
{
    let family = Family::default();
    for label in labels {
        drop(family.get_or_create(&label));
    }
    family
}

/// Reads the dropped log lines, which are counted for the process and not for a daemon.
#[derive(Debug)]
struct LogLines;

impl Collector for LogLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let dropped = ConstCounter::new(logs::dropped());
        let help = "Log lines dropped because the reader or the disk did not accept them.";
        dropped.encode(encoder.encode_descriptor("log_lines_dropped", help, None, dropped.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every series at the start, which Prometheus scrapes in `tests/monitoring`.
    #[test]
    fn everything_is_there_from_the_start() {
        let metrics = Metrics::new();
        metrics.read_from(|| Readings {
            inbound_keys_age: Some(Duration::ZERO),
            ..Readings::default()
        });
        let text = metrics.text();
        // The values of the process differ in each run, and so does the order of the series of one metric.
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("process_")).collect();
        let mut metrics: Vec<_> = lines
            .chunk_by(|_, next| !next.starts_with("# HELP"))
            .map(<[_]>::to_vec)
            .collect();
        for metric in &mut metrics {
            metric.sort_by_key(|line| {
                let labels = line.split_once('{').map_or("", |(_, labels)| labels);
                let labels = labels.split('}').next().unwrap_or_default();
                labels.split(",le=").next()
            });
        }
        let text = metrics.concat().join("\n") + "\n";
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!("metrics", text.replace(env!("BUILD_COMMIT"), "COMMIT"));
    }
}
