//! What the program needs and does not get: Teleport, and Microsoft's three services.
//!
//! Hundreds of requests can fail for one reason. The reason has a line here: when it begins, at growing intervals while it
//! lasts, and when it is over. Meanwhile the lines of single requests are for those who look for a fault, but for one with
//! each line here, which shows what the failure does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::daemon::outages::outage::{Outage, Report};
use crate::daemon::outages::services::Services;
use crate::msteams;
use crate::msteams::{CallEvent, Endpoint, Observer};
use crate::telemetry::{Metrics, Peer};
use crate::teleport;

/// Everything that can fail on its own.
#[derive(Debug)]
pub(in crate::daemon) struct OutageLog {
    metrics: Metrics,
    known: Mutex<Known>,
    /// The services that answered again after failures, since that was looked at last.
    recovered: watch::Sender<Services>,
}

#[derive(Debug, Default)]
struct Known {
    /// Events of Teleport.
    watch: Outage,
    /// Calls to Teleport.
    teleport: Outage,
    login: Outage,
    graph: Outage,
    bot: Outage,
    throttled: Outage,
    /// The start is over. Before that, a failure ends the daemon, and the last line of the log reports it.
    started: bool,
}

impl OutageLog {
    pub(in crate::daemon) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            known: Mutex::default(),
            recovered: watch::Sender::new(Services::NONE),
        }
    }

    /// Waits until services answer again after failures, and returns them: what waits for them may be tried immediately.
    pub(in crate::daemon) async fn recovered(&self) -> Services {
        let mut recovered = self.recovered.subscribe();
        // The sender lives as long as `self`.
        let _ = recovered.wait_for(|services| *services != Services::NONE).await;
        drop(recovered);
        self.recovered.send_replace(Services::NONE)
    }

    /// Reports failures from now on: calls that fail are retried.
    pub(in crate::daemon) fn started(&self) {
        self.known().started = true;
    }

    pub(in crate::daemon) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes a break of the stream of events, or a try to open one that failed. The next try comes after the pause.
    pub(in crate::daemon) fn watch_broke(&self, error: &teleport::Error, pause: Duration) {
        let (what, hint) = ("Connection problem detected, attempting to reconnect", error.hint());
        let Some(report) = self.known().watch.fails(Instant::now(), &cause(error)) else {
            debug!(%error, hint, ?pause, "{what}");
            return;
        };
        for way in error.tried() {
            warn!("Tried {way}");
        }
        let Line { failures, lasted } = Line::of(report);
        let lasted = lasted.map(tracing::field::display);
        warn!(%error, hint, failures, lasted, ?pause, "{what}");
    }

    /// Takes a stream of events that was opened; `route` is the way it took.
    pub(in crate::daemon) fn watch_works(&self, route: Option<teleport::Route>) {
        let route = route.map(tracing::field::display);
        let Some(report) = self.works(|known| &mut known.watch, Services::TELEPORT, 1) else {
            debug!(route, "Watcher connected");
            return;
        };
        let Line { failures, lasted } = Line::of(report);
        let lasted = lasted.map(tracing::field::display);
        info!(route, failures, lasted, "Watcher connected");
    }

    /// Takes a call to Teleport that failed and is tried again. A record that cannot be decoded is no outage.
    pub(in crate::daemon) fn teleport_failed(&self, error: &teleport::Error) {
        if is_undecodable(error) {
            return;
        }
        self.metrics.retried(Peer::Teleport);
        let mut known = self.known();
        if known.watch.is_told() {
            // One failure, seen twice.
            return;
        }
        if let Some(report) = known.teleport.fails(Instant::now(), &cause(error)) {
            Line::of(report).fails("Teleport", error, error.hint());
        }
    }

    /// Takes an answer of Teleport.
    pub(in crate::daemon) fn teleport_works(&self) {
        if let Some(report) = self.works(|known| &mut known.teleport, Services::TELEPORT, 1) {
            Line::of(report).works("Teleport");
        }
    }

    /// Tells whether a request that Teleport kept waiting may have a separate line. A record that cannot be decoded has had
    /// one when it was read.
    pub(in crate::daemon) fn teleport_example(&self, error: &teleport::Error) -> bool {
        if is_undecodable(error) {
            return false;
        }
        let mut known = self.known();
        if known.watch.is_told() {
            return known.watch.example();
        }
        known.teleport.example()
    }

    /// Tells whether a delivery that failed for now may have a line of its own: always if the reason is its own.
    pub(in crate::daemon) fn microsoft_example(&self, error: &msteams::Error) -> bool {
        let mut known = self.known();
        match error.meaning() {
            msteams::Meaning::Throttled => known.throttled.example(),
            msteams::Meaning::Unreachable | msteams::Meaning::Credentials | msteams::Meaning::Protocol => {
                known.service(error.endpoint()).example()
            }
            _ => true,
        }
    }

    /// Returns what listens to Microsoft's services for as long as the daemon runs.
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
                let (service, pause) = (name(endpoint), pause.map(text).map(tracing::field::display));
                let report = self.known().throttled.fails(now, "");
                if let Some(Report { failures, .. }) = report {
                    let times = (failures > 1).then_some(failures);
                    warn!(pause, times, "{service} asks to slow down");
                } else {
                    debug!(pause, "{service} asks to slow down");
                }
            }
            CallEvent::Answered(endpoint) => {
                // One conversation that fails is no outage: its next try must not come with each success of another.
                let threshold = if endpoint == Endpoint::Bot { 2 } else { 1 };
                if let Some(report) = self.works(|known| known.service(endpoint), Services::of(endpoint), threshold) {
                    Line::of(report).works(name(endpoint));
                }
            }
            CallEvent::Retrying(endpoint, error) => {
                if let Some(report) = self.known().service(endpoint).fails(now, &error.cause()) {
                    Line::of(report).retries(name(endpoint), error, error.hint());
                }
            }
            CallEvent::Failed(endpoint, error) => {
                let mut known = self.known();
                if !known.started {
                    debug!(%error, "{} fails", name(endpoint));
                } else if let Some(report) = known.service(endpoint).fails(now, &error.cause()) {
                    Line::of(report).fails(name(endpoint), error, error.hint());
                }
            }
        }
    }

    /// Takes a success, and signals a recovery if there were so many failures in a row before it.
    fn works(&self, of: impl FnOnce(&mut Known) -> &mut Outage, service: Services, threshold: u64) -> Option<Report> {
        let mut known = self.known();
        let outage = of(&mut known);
        let failures = outage.failures();
        let report = outage.works(Instant::now());
        drop(known);
        if failures >= threshold {
            self.recovered
                .send_modify(|services| *services = services.with(service));
        }
        report
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn service(&mut self, endpoint: Endpoint) -> &mut Outage {
        match endpoint {
            Endpoint::Login => &mut self.login,
            Endpoint::Graph => &mut self.graph,
            Endpoint::Bot => &mut self.bot,
        }
    }
}

/// The fields of a line; nothing is counted when it fails for the first time.
struct Line {
    failures: Option<u64>,
    lasted: Option<String>,
}

impl Line {
    fn of(Report { failures, lasted }: Report) -> Self {
        let more = failures > 1 || lasted >= Duration::from_secs(1);
        Self {
            failures: more.then_some(failures),
            lasted: more.then(|| text(lasted)),
        }
    }

    fn fails(self, what: &str, error: &dyn std::fmt::Display, hint: Option<&str>) {
        self.report(what, "trying again", error, hint);
    }

    /// Reports an attempt that failed, while the call goes on.
    fn retries(self, what: &str, error: &dyn std::fmt::Display, hint: Option<&str>) {
        self.report(what, "retrying", error, hint);
    }

    fn report(self, what: &str, next: &str, error: &dyn std::fmt::Display, hint: Option<&str>) {
        let Self { failures, lasted } = self;
        match &lasted {
            None => warn!(%error, hint, "{what} fails, {next}"),
            Some(time) => warn!(%error, hint, failures, lasted = %time, "{what} still fails after {time}"),
        }
    }

    fn works(self, what: &str) {
        let Self { failures, lasted } = self;
        match &lasted {
            None => info!("{what} answers again"),
            Some(time) => info!(failures, lasted = %time, "{what} answers again after {time}"),
        }
    }
}

fn is_undecodable(error: &teleport::Error) -> bool {
    error.meaning() == teleport::Meaning::Undecodable
}

/// Returns what an error of Teleport says beside the call that failed: each call has its own words for that.
fn cause(error: &teleport::Error) -> String {
    let text = error.to_string();
    text.split_once(": ").map(|(_, cause)| cause.to_owned()).unwrap_or(text)
}

/// Writes a duration as a person reads it.
fn text(duration: Duration) -> String {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Login => "Microsoft's login service",
        Endpoint::Graph => "Microsoft Graph",
        Endpoint::Bot => "The Bot connector",
    }
}

fn peer(endpoint: Endpoint) -> Peer {
    match endpoint {
        Endpoint::Login => Peer::Login,
        Endpoint::Graph => Peer::Graph,
        Endpoint::Bot => Peer::Bot,
    }
}
