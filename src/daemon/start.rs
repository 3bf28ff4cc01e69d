//! Starts the daemon from its settings, and stops it.

use std::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::info;
use tracing::warn;

use crate::config::{Endpoints, HostPort, Limits, Settings};
use crate::daemon::actions::{self, Opened};
use crate::daemon::context::Context;
use crate::daemon::dispatcher::Dispatcher;
use crate::daemon::groups;
use crate::daemon::outages::OutageLog;
use crate::daemon::reminders;
use crate::daemon::requests::Lanes;
use crate::daemon::requests::Resync;
use crate::daemon::requests::keep_current;
use crate::daemon::tasks::Tasks;
use crate::daemon::upkeep::Live;
use crate::daemon::upkeep::app_credential;
use crate::daemon::upkeep::app_upgrades;
use crate::daemon::upkeep::credentials;
use crate::daemon::upkeep::permissions;
use crate::daemon::upkeep::preload::preload;
use crate::daemon::upkeep::reload;
use crate::daemon::upkeep::reload::Reloads;
use crate::daemon::upkeep::watchdog;
use crate::domain::card;
use crate::listener::Connection;
use crate::msteams::inbound::KeyCache;
use crate::msteams::{Endpoint, Teams};
use crate::telemetry::systemd;
use crate::telemetry::{Diagnostics, Health, Metrics, Readings};
use crate::teleport::{Client, Watch};

/// The number of events that may be queued for the dispatcher, which only sorts them into lanes. The server queues another
/// thousand, and ends the stream only after most of a minute.
const WAITING_EVENTS: usize = 256;

/// Runs the daemon until `stop` is cancelled, then finishes the deliveries in flight. Applies reloaded settings meanwhile.
///
/// # Errors
/// Returns why the daemon could not start, or why it ended before `stop` was cancelled.
pub async fn run(settings: Settings, reloads: Reloads, stop: CancellationToken) -> anyhow::Result<()> {
    let current = settings.clone();
    let Settings {
        preload: preloading,
        diagnostics,
        teleport,
        microsoft,
        routing: _,
        notify: _,
        escalation: _,
        digest: _,
        review,
        log: _,
        fail_fast,
        limits,
    } = settings;
    info!("Starting Teleport MS Teams Plugin {}", env!("CARGO_PKG_VERSION"));
    let stopping = CancellationToken::new();
    let tasks = Tasks::new(stopping.clone());
    let (health, metrics) = (Health::new(systemd::watchdog()), Metrics::new());
    if let Some(address) = diagnostics {
        serve_diagnostics(&address, &health, &metrics, &tasks).await?;
    }
    let presses = actions::open(&review, &microsoft, &limits).await?;
    let client = Client::new(&teleport, &limits).await?;
    let outages = Arc::new(OutageLog::new(metrics.clone()));
    let teams = Teams::observed(&microsoft, &limits, outages.observer())?;
    let ((cluster, watch), ()) = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        started = async { tokio::try_join!(start_teleport(&client, &teleport.address, &limits), start_microsoft(&teams, &microsoft.endpoints)) } => started?,
    };
    outages.started();

    let context = Context::new(
        client.clone(),
        teams.clone(),
        Live::new(&current),
        cluster,
        limits.clone(),
        outages,
        stopping.clone(),
    );
    let context = Arc::new(context);
    let lanes = Lanes::new(Arc::clone(&context), tasks.clone());
    metrics.read_from(readings(&lanes, &teams, presses.as_ref().map(Opened::keys)));
    if let Some(presses) = presses {
        presses.serve(&context, &tasks, &health);
    }
    let (sender, events) = mpsc::channel(WAITING_EVENTS);
    let (graph, bot) = (health.register("graph-token"), health.register("bot-token"));
    tasks.service("tokens", async move { teams.renew_tokens(&graph, &bot).await });
    let follows = app_credential::follow(Arc::clone(&context), health.register("app-credential"));
    tasks.service("app-credential", follows);
    let heartbeat = health.register("recovery");
    tasks.service(
        "recovery",
        app_credential::retry_deferred(Arc::clone(&context), lanes.clone(), heartbeat),
    );
    tasks.service(
        "credentials",
        credentials::follow(
            client.keyring().clone(),
            teleport.refresh,
            metrics,
            health.register("credentials"),
        ),
    );
    let probed = client.clone();
    tasks.background("permissions", async move { permissions::probe(&probed).await });
    let heartbeat = health.register("watch");
    tasks.service("watch", watch.run(client, limits.clone(), sender, heartbeat));
    if preloading {
        let context = Arc::clone(&context);
        let addresses = current.recipients();
        tasks.background("preload", async move { preload(&context, addresses).await });
    }
    app_upgrades::start(microsoft.upgrade_app, &context, &tasks, &health);
    let heartbeat = health.register("groups");
    tasks.service("groups", groups::keep(Arc::clone(&context), heartbeat));
    let reload = reload::serve(reloads, current, Arc::clone(&context), tasks.clone(), health.clone());
    tasks.service("reload", reload);
    reminders::start(&context, &lanes, &tasks, &health);
    let heartbeat = health.register("digests");
    tasks.service("digests", keep_current(Arc::clone(&context), tasks.clone(), heartbeat));
    let heartbeat = health.register("dispatcher");
    tasks.service("watchdog", watchdog::run(health.clone()));
    let (failed, mut cannot_start) = mpsc::channel(1);
    let resync = Resync::new(Arc::clone(&context), lanes.clone(), health.clone(), failed);
    tasks.service("resync", resync.run(health.register("resync")));
    let dispatcher = Dispatcher::new(context, lanes, health, heartbeat, events, fail_fast);
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = dispatcher.run() => ended,
        Some(error) = cannot_start.recv() => Err(error.into()),
        name = tasks.failed() => Err(anyhow::anyhow!("the task {name} ended unexpectedly")),
    };
    stopping.cancel();
    drain(&tasks, &limits).await;
    ended
}

/// Waits for the deliveries in flight, for a limited time.
async fn drain(tasks: &Tasks, limits: &Limits) {
    info!("Attempting graceful shutdown...");
    systemd::stopping();
    if timeout(limits.drain, tasks.drained()).await.is_ok() {
        info!("Successfully shut down");
    } else {
        warn!("Shutdown timed out with deliveries in flight; they are resumed after the next start");
    }
}

/// Opens the port of `diag_addr` and serves it until the daemon stops.
async fn serve_diagnostics(
    address: &HostPort,
    health: &Health,
    metrics: &Metrics,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let diagnostics = Diagnostics::open(address, health, metrics).await?;
    info!(address = diagnostics.address(), "Serving health checks and metrics");
    let probes = tasks.clone();
    let serve = diagnostics.serve(move |connection: Connection| probes.background("probe", connection));
    tasks.service("diagnostics", serve);
    Ok(())
}

/// Reads the sizes of the queues for the metrics.
fn readings(
    lanes: &Lanes,
    teams: &Teams,
    keys: Option<Arc<KeyCache>>,
) -> impl Fn() -> Readings + Send + Sync + 'static {
    let (census, teams) = (lanes.census(), teams.clone());
    move || {
        let (open_requests, unfinished_requests) = census();
        Readings {
            open_requests,
            unfinished_requests,
            queued_for_graph: teams.waiting(Endpoint::Graph),
            queued_for_bot: teams.waiting(Endpoint::Bot),
            inbound_keys_age: keys.as_ref().and_then(|keys| keys.age()),
        }
    }
}

/// Connects to Teleport, and warns once if that takes long.
async fn start_teleport(
    client: &Client,
    address: &HostPort,
    limits: &Limits,
) -> anyhow::Result<((card::CardCluster, bool), Watch)> {
    let mut started = pin!(connect_teleport(client));
    if let Ok(started) = timeout(limits.teleport_slow_start, &mut started).await {
        return started;
    }
    let route = client.route().map(tracing::field::display);
    warn!(addr = %address, route, "Teleport has not answered yet");
    started.await
}

async fn connect_teleport(client: &Client) -> anyhow::Result<((card::CardCluster, bool), Watch)> {
    let identity = client.keyring().newest();
    info!(user = identity.user, cluster = identity.cluster, expires = %identity.not_after, "Credentials loaded");
    debug!("Checking Teleport server version");
    let facts = client.ping().await.context("could not start")?;
    let route = client.route().map(tracing::field::display);
    info!(
        cluster = facts.name,
        version = facts.version,
        route,
        "Teleport cluster found"
    );
    let web = if facts.advanced_workflows {
        card::CardCluster::web_address(&facts.proxy_public_addr)
    } else {
        None
    };
    let watch = Watch::open(client).await?;
    let knows_reviews = facts.knows_delegated_reviews();
    let cluster = card::CardCluster {
        name: facts.name,
        web,
        plugin: identity.user.clone(),
    };
    Ok(((cluster, knows_reviews), watch))
}

async fn start_microsoft(teams: &Teams, endpoints: &Endpoints) -> anyhow::Result<()> {
    if let Some(limits) = endpoints.limits() {
        info!(
            cloud = endpoints.cloud,
            limits, "Installations of the app are limited in this cloud"
        );
    }
    let app = teams.find_app().await?;
    info!(id = app.id, name = app.name, "MS Teams app found in org app store");
    Ok(())
}
