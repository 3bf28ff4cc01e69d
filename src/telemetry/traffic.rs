//! Counts of what goes to Microsoft and to Teleport.

use prometheus::{IntCounterVec, IntGaugeVec, Registry};

use crate::telemetry::labels::Peer;
use crate::telemetry::metrics::{options, register, set};

#[derive(Debug)]
pub(super) struct Traffic {
    queued: IntGaugeVec,
    retries: IntCounterVec,
    throttles: IntCounterVec,
    token_refreshes: IntCounterVec,
}

impl Traffic {
    /// Sets up everything at zero.
    pub(super) fn new(registry: &Registry) -> Self {
        let counters =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(options(name, help), labels));
        let queued = options(
            "queued_calls",
            "Calls to Microsoft that are queued to stay below its limits.",
        );
        let traffic = Self {
            queued: register(registry, IntGaugeVec::new(queued, &["api"])),
            retries: counters(
                "retries_total",
                "Calls and deliveries retried after a failure, by the API that failed; see reconnects_total for streams.",
                &["api"],
            ),
            throttles: counters(
                "throttles_total",
                "Answers of Microsoft that ask to slow down (429).",
                &["api"],
            ),
            token_refreshes: counters(
                "token_refreshes_total",
                "Tokens that were asked for, by the service they open, and whether they were given.",
                &["api", "outcome"],
            ),
        };
        for peer in [Peer::Login, Peer::Graph, Peer::Bot, Peer::Teleport] {
            traffic.retries.with_label_values(&[peer.label()]);
        }
        for peer in [Peer::Login, Peer::Graph, Peer::Bot] {
            traffic.throttles.with_label_values(&[peer.label()]);
        }
        for peer in [Peer::Graph, Peer::Bot] {
            traffic.queued(peer, 0);
            for outcome in ["done", "failed"] {
                traffic.token_refreshes.with_label_values(&[peer.label(), outcome]);
            }
        }
        traffic
    }

    pub(super) fn queued(&self, peer: Peer, count: usize) {
        set(&self.queued.with_label_values(&[peer.label()]), count);
    }

    pub(super) fn retried(&self, peer: Peer) {
        self.retries.with_label_values(&[peer.label()]).inc();
    }

    pub(super) fn throttled(&self, peer: Peer) {
        self.throttles.with_label_values(&[peer.label()]).inc();
    }

    pub(super) fn token_refreshed(&self, service: Peer, well: bool) {
        let outcome = if well { "done" } else { "failed" };
        let labels = [service.label(), outcome];
        self.token_refreshes.with_label_values(&labels).inc();
    }
}
