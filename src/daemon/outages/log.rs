//! Logs outages of Teleport and of Microsoft's three services.
//!
//! Hundreds of requests can fail for one reason. An outage is logged when it begins, at growing intervals while it lasts, and
//! when it ends. Meanwhile single requests are logged at debug level, except for one example with each line about the
//! outage.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::clock::readable;
use crate::daemon::outages::outage::{Outage, Report};
use crate::daemon::outages::services::Services;
use crate::msteams;
use crate::msteams::{CallEvent, Endpoint, Observer};
use crate::telemetry::{Metrics, Peer};
use crate::teleport;

/// The outages of every service.
#[derive(Debug)]
pub(in crate::daemon) struct OutageLog {
    metrics: Metrics,
    outages: Mutex<Outages>,
    /// The services that recovered since the last check.
    recovered: watch::Sender<Services>,
}

#[derive(Debug, Default)]
struct Outages {
    /// Events of Teleport.
    watch: Outage,
    /// Calls to Teleport.
    teleport: Outage,
    login: Outage,
    graph: Outage,
    bot: Outage,
    throttled: Outage,
    /// The start is over. A failure before that ends the daemon, and the last log line reports it.
    started: bool,
}

impl OutageLog {
    pub(in crate::daemon) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            outages: Mutex::default(),
            recovered: watch::Sender::new(Services::NONE),
        }
    }

    /// Waits until services recover, and returns them. Deliveries that are deferred because of them can be retried.
    pub(in crate::daemon) async fn recovered(&self) -> Services {
        let mut recovered = self.recovered.subscribe();
        // The sender lives as long as `self`.
        let _ = recovered.wait_for(|services| *services != Services::NONE).await;
        drop(recovered);
        self.recovered.send_replace(Services::NONE)
    }

    /// Logs failures from now on, because failed calls are retried from now on.
    pub(in crate::daemon) fn started(&self) {
        self.lock().started = true;
    }

    pub(in crate::daemon) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Records that the event stream broke or could not be opened. The next attempt follows after `pause`.
    pub(in crate::daemon) fn watch_broke(&self, error: &teleport::Error, pause: Duration) {
        let (hint, retry_in) = (error.hint(), readable(pause));
        let Some(report) = self.lock().watch.fails(Instant::now(), &cause(error)) else {
            debug!(%error, hint, retry_in, "Connection problem detected, attempting to reconnect");
            return;
        };
        for attempt in error.tried() {
            warn!(error = attempt, "Could not connect by one of the routes");
        }
        let Fields { failures, lasted } = Fields::of(report);
        warn!(
            %error, hint, failures, lasted, retry_in,
            "Connection problem detected, attempting to reconnect"
        );
    }

    /// Records that an event stream was opened.
    pub(in crate::daemon) fn watch_works(&self, route: Option<teleport::Route>) {
        let route = route.map(tracing::field::display);
        let Some(report) = self.works(|outages| &mut outages.watch, Services::TELEPORT, 1) else {
            debug!(route, "Watcher connected");
            return;
        };
        let Fields { failures, lasted } = Fields::of(report);
        info!(route, failures, lasted, "Watcher connected");
    }

    /// Records a failed call to Teleport that will be retried. A record that cannot be decoded is no outage.
    pub(in crate::daemon) fn teleport_failed(&self, error: &teleport::Error) {
        if is_undecodable(error) {
            return;
        }
        self.metrics.retried(Peer::Teleport);
        let mut outages = self.lock();
        if outages.watch.is_logged() {
            // The outage of the event stream has the same cause and is logged already.
            return;
        }
        if let Some(report) = outages.teleport.fails(Instant::now(), &cause(error)) {
            Fields::of(report).fails("Teleport", error, error.hint());
        }
    }

    /// Records that Teleport answered.
    pub(in crate::daemon) fn teleport_works(&self) {
        if let Some(report) = self.works(|outages| &mut outages.teleport, Services::TELEPORT, 1) {
            Fields::of(report).works("Teleport");
        }
    }

    /// Returns whether a request that is deferred because of Teleport is the example for the last line about the outage. A
    /// record that cannot be decoded was logged when it was read.
    pub(in crate::daemon) fn teleport_example(&self, error: &teleport::Error) -> bool {
        if is_undecodable(error) {
            return false;
        }
        let mut outages = self.lock();
        if outages.watch.is_logged() {
            return outages.watch.example();
        }
        outages.teleport.example()
    }

    /// Returns whether a failed delivery gets a separate line: as the example for an outage, or because no outage causes it.
    pub(in crate::daemon) fn microsoft_example(&self, error: &msteams::Error) -> bool {
        let mut outages = self.lock();
        if error.meaning() == msteams::Meaning::Throttled {
            outages.throttled.example()
        } else if error.is_outage() {
            outages.service(error.endpoint()).example()
        } else {
            true
        }
    }

    /// Returns the observer of the calls to Microsoft.
    pub(in crate::daemon) fn observer(self: &Arc<Self>) -> Observer {
        let outages = Arc::clone(self);
        Observer::new(move |event| outages.hear(event))
    }

    fn hear(&self, event: CallEvent<'_>) {
        let now = Instant::now();
        match event {
            CallEvent::Retried(endpoint) => self.metrics.retried(peer(endpoint)),
            CallEvent::TokenAsked { service, given } => self.metrics.token_refreshed(peer(service), given),
            CallEvent::Throttled(endpoint, pause) => {
                self.metrics.throttled(peer(endpoint));
                let (service, retry_in) = (name(endpoint), pause.map(readable));
                let report = self.lock().throttled.fails(now, "");
                if let Some(Report { failures, .. }) = report {
                    let times = (failures > 1).then_some(failures);
                    warn!(service, retry_in, times, "Service throttles requests");
                } else {
                    debug!(service, retry_in, "Service throttles requests");
                }
            }
            CallEvent::Answered(endpoint) => {
                // A failing conversation is no outage: the success of another one must not trigger its retry.
                let threshold = if endpoint == Endpoint::Bot { 2 } else { 1 };
                if let Some(report) = self.works(|outages| outages.service(endpoint), Services::of(endpoint), threshold)
                {
                    Fields::of(report).works(name(endpoint));
                }
            }
            CallEvent::Retrying(endpoint, error) => {
                if let Some(report) = self.lock().service(endpoint).fails(now, &error.cause()) {
                    Fields::of(report).fails(name(endpoint), error, error.hint());
                }
            }
            CallEvent::Failed(endpoint, error) => {
                let mut outages = self.lock();
                if !outages.started {
                    debug!(service = name(endpoint), %error, "Service fails");
                } else if let Some(report) = outages.service(endpoint).fails(now, &error.cause()) {
                    Fields::of(report).fails(name(endpoint), error, error.hint());
                }
            }
        }
    }

    /// Records a success, and signals a recovery if at least `threshold` failures in a row preceded it.
    fn works(&self, of: impl FnOnce(&mut Outages) -> &mut Outage, service: Services, threshold: u64) -> Option<Report> {
        let mut outages = self.lock();
        let outage = of(&mut outages);
        let failures = outage.failures();
        let report = outage.works(Instant::now());
        drop(outages);
        if failures >= threshold {
            self.recovered
                .send_modify(|services| *services = services.with(service));
        }
        report
    }

    fn lock(&self) -> MutexGuard<'_, Outages> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outages {
    fn service(&mut self, endpoint: Endpoint) -> &mut Outage {
        match endpoint {
            Endpoint::Login => &mut self.login,
            Endpoint::Graph => &mut self.graph,
            Endpoint::Bot => &mut self.bot,
        }
    }
}

/// The fields of a log line; both are missing when the service fails for the first time.
struct Fields {
    failures: Option<u64>,
    lasted: Option<String>,
}

impl Fields {
    fn of(Report { failures, lasted }: Report) -> Self {
        let more = failures > 1 || lasted >= Duration::from_secs(1);
        Self {
            failures: more.then_some(failures),
            lasted: more.then(|| readable(lasted)),
        }
    }

    fn fails(self, service: &str, error: &dyn std::fmt::Display, hint: Option<&str>) {
        let Self { failures, lasted } = self;
        if lasted.is_none() {
            warn!(service, %error, hint, "Service fails, retrying");
        } else {
            warn!(service, %error, hint, failures, lasted, "Service still fails");
        }
    }

    fn works(self, service: &str) {
        let Self { failures, lasted } = self;
        info!(service, failures, lasted, "Service answers again");
    }
}

fn is_undecodable(error: &teleport::Error) -> bool {
    error.meaning() == teleport::Meaning::Undecodable
}

/// Returns the cause of an error of Teleport without the failed call, so that different calls count as one cause.
fn cause(error: &teleport::Error) -> String {
    let text = error.to_string();
    text.split_once(": ").map(|(_, cause)| cause.to_owned()).unwrap_or(text)
}

fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Login => "Microsoft login",
        Endpoint::Graph => "Microsoft Graph",
        Endpoint::Bot => "Bot connector",
    }
}

fn peer(endpoint: Endpoint) -> Peer {
    match endpoint {
        Endpoint::Login => Peer::Login,
        Endpoint::Graph => Peer::Graph,
        Endpoint::Bot => Peer::Bot,
    }
}
