//! Applies a changed configuration without a restart.
//!
//! A reload has the effect of a restart without its gap: the event stream stays open, and a resync applies the new
//! settings.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::blocking::apart;
use crate::config::{Changes, Loaded, Problems, Settings};
use crate::daemon::context::Context;
use crate::daemon::tasks::Tasks;
use crate::daemon::upkeep::preload::preload;
use crate::domain::recipients::Address;
use crate::telemetry;
use crate::telemetry::{Health, systemd};

/// Receives requests to reload the configuration, and reads it.
pub struct Reloads {
    requested: mpsc::Receiver<()>,
    read: Read,
}

/// Reads the configuration, and applies the parts that are not the daemon's.
type Read = Box<dyn FnMut() -> anyhow::Result<Loaded> + Send>;

impl Reloads {
    /// Calls `read` after each message to the sender. A message that finds another one queued may be dropped, since one reload
    /// answers both.
    pub fn new(read: impl FnMut() -> anyhow::Result<Loaded> + Send + 'static) -> (mpsc::Sender<()>, Self) {
        let (sender, requested) = mpsc::channel(1);
        let read = Box::new(read);
        (sender, Self { requested, read })
    }

    /// Never reloads.
    pub fn never() -> Self {
        Self::new(|| anyhow::bail!("no reload was requested")).1
    }
}

/// Reloads the configuration on each request.
pub(in crate::daemon) async fn serve(
    mut reloads: Reloads,
    mut current: Settings,
    context: Arc<Context>,
    tasks: Tasks,
    health: Health,
) -> Infallible {
    let heartbeat = health.register("reload");
    let mut next = Instant::now();
    while heartbeat.while_waiting(reloads.requested.recv()).await.is_some() {
        // Bounds the load of many signals in a row.
        heartbeat.while_waiting(sleep_until(next)).await;
        next = Instant::now() + context.limits.reload_every;
        // This reload answers every request that arrived meanwhile.
        while reloads.requested.try_recv().is_ok() {}
        // Before that, the service manager waits for the start itself.
        let notify = health.has_started();
        if notify {
            systemd::reloading();
        }
        let mut read = reloads.read;
        let (loaded, read_again) = heartbeat.while_waiting(apart(move || (read(), read))).await;
        reloads.read = read_again;
        context.metrics.reloaded(loaded.is_ok());
        match loaded {
            Ok(loaded) => apply(loaded, &mut current, &context, &tasks),
            Err(error) => refuse(&error),
        }
        if notify {
            systemd::reloaded();
        }
    }
    heartbeat.while_waiting(std::future::pending()).await
}

fn apply(loaded: Loaded, current: &mut Settings, context: &Arc<Context>, tasks: &Tasks) {
    let Loaded { settings, warnings } = loaded;
    let known: HashSet<Address> = if current.preload {
        current.recipients().into_iter().collect()
    } else {
        HashSet::new()
    };
    let Changes { applied, after_restart } = current.apply(settings);
    context.teams.forget_refusals();
    context.live.replace(current);
    context
        .teams
        .replace_credential(None, current.microsoft.credential.clone());
    telemetry::log_warnings(None, &warnings);
    if applied.is_empty() && after_restart.is_empty() {
        info!("Configuration reloaded, no changes");
    } else {
        let changed = Some(applied.join(", ")).filter(|keys| !keys.is_empty());
        info!(changed, "Configuration reloaded");
    }
    for key in after_restart {
        warn!(
            key,
            "Configuration key changed; the change takes effect after a restart"
        );
    }
    if current.preload {
        let mut new = current.recipients();
        new.retain(|address| !known.contains(address));
        if !new.is_empty() {
            let context = Arc::clone(context);
            tasks.background("preload", async move { preload(&context, new).await });
        }
    }
    // Pending requests may have recipients now, or more than before.
    context.resync_now.notify_one();
}

/// Logs that the configuration stays unchanged, and each problem of the file.
fn refuse(error: &anyhow::Error) {
    let Some(problems) = error.downcast_ref::<Problems>() else {
        error!(
            error = format!("{error:#}"),
            "Configuration not reloaded, keeping the previous one"
        );
        return;
    };
    error!(
        file = problems.file.display().to_string(),
        problems = problems.list.len(),
        "Configuration not reloaded, keeping the previous one"
    );
    telemetry::log_problems(problems);
}
