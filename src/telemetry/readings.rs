//! What is read at each scrape, since it changes all the time.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::telemetry::labels::Peer;

/// The state of the work at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    pub open_requests: usize,
    pub unfinished_requests: usize,
    /// Requests that wait for their turn under Microsoft's limits.
    pub queued_for_graph: usize,
    pub queued_for_bot: usize,
    /// The time since the keys that verify requests from Teams were fetched, if they were.
    pub inbound_keys_age: Option<Duration>,
}

/// Where readings are taken.
pub(super) struct Source(Box<dyn Fn() -> Readings + Send + Sync>);

impl Source {
    pub(super) fn new(read: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }
}

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Readings {
            open_requests,
            unfinished_requests,
            queued_for_graph,
            queued_for_bot,
            inbound_keys_age,
        } = (self.0)();
        for (name, help, value) in [
            ("open_requests", "Access Requests being tracked.", open_requests),
            (
                "unfinished_requests",
                "Access Requests with at least one outdated or missing card.",
                unfinished_requests,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let help = "Calls to Microsoft that are queued to stay below its limits.";
        let mut queued = encoder.encode_descriptor("queued_calls", help, None, MetricType::Gauge)?;
        for (api, value) in [(Peer::Graph, queued_for_graph), (Peer::Bot, queued_for_bot)] {
            ConstGauge::new(value).encode(queued.encode_family(&api)?)?;
        }
        if let Some(age) = inbound_keys_age {
            let help = "Time since the keys that verify requests from Teams were fetched.";
            let gauge = ConstGauge::new(age.as_secs_f64());
            gauge.encode(encoder.encode_descriptor("inbound_keys_age_seconds", help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
