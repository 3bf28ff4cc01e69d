//! What the program counts, for Prometheus.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus::{
    Encoder as _, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

/// Every name begins with this.
const PREFIX: &str = "teleport_msteams";

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
    deliveries: IntCounterVec,
    watch_connected: IntGauge,
    reconnects: IntCounter,
    last_resync: IntGauge,
    identity_expiry: IntGauge,
    identity_renewals: IntCounterVec,
    rules: IntGaugeVec,
    rule_errors: IntCounterVec,
}

/// What became of one card for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Posted,
    Updated,
    /// For good: there is no such user, or they blocked the app.
    Refused,
    /// It is tried again.
    Failed,
}

impl Metrics {
    /// Sets up everything at zero.
    ///
    /// # Panics
    /// Never: the names are constants, valid and different.
    pub fn new() -> Self {
        let registry = Registry::new();
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
                "requests_seen_total",
                "Events of access requests, by the state they showed.",
                "state",
            ),
            open_requests: gauge("open_requests", "Requests that are kept an eye on."),
            deliveries: counters(
                "deliveries_total",
                "Cards posted or updated for one recipient, by outcome.",
                "outcome",
            ),
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
            registry: registry.clone(),
        };
        let metrics = Self(Arc::new(numbers));
        // What never happened must be there as zero, or a rate of it is nothing.
        for outcome in [Delivery::Posted, Delivery::Updated, Delivery::Refused, Delivery::Failed] {
            metrics.delivered(outcome, 0);
        }
        for state in ["pending", "approved", "denied", "promoted"] {
            metrics.0.requests.with_label_values(&[state]);
        }
        for outcome in ["done", "failed"] {
            metrics.0.identity_renewals.with_label_values(&[outcome]);
        }
        for kind in ["parse", "type", "eval", "schedule"] {
            metrics.0.rule_errors.with_label_values(&[kind]);
        }
        metrics.rules(0, 0);
        metrics
    }

    pub fn request_seen(&self, state: &str) {
        self.0.requests.with_label_values(&[&state.to_lowercase()]).inc();
    }

    pub fn open_requests(&self, count: usize) {
        self.0.open_requests.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn delivered(&self, outcome: Delivery, count: usize) {
        let outcome = match outcome {
            Delivery::Posted => "posted",
            Delivery::Updated => "updated",
            Delivery::Refused => "refused",
            Delivery::Failed => "failed",
        };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.deliveries.with_label_values(&[outcome]).inc_by(count);
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
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.0.rules.with_label_values(&[state]).set(count);
        }
    }

    pub fn rule_failed(&self, kind: &str) {
        self.0.rule_errors.with_label_values(&[kind]).inc();
    }

    /// Writes everything in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        // Only a name that is used twice could fail, and memory takes what is written.
        let _ = TextEncoder::new().encode(&self.0.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}_{name}"), help)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let made = made.expect("the names are constants and valid");
    registry
        .register(Box::new(made.clone()))
        .expect("each name is used once");
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_from_the_start() {
        let text = Metrics::new().text();
        let names: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        insta::assert_snapshot!("metrics", names.join("\n"));
        assert!(
            text.contains("teleport_msteams_deliveries_total{outcome=\"posted\"} 0"),
            "{text}"
        );
    }
}
