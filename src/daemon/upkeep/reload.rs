//! Takes up a configuration that was changed, without a restart.
//!
//! A reload does what a restart would do, but loses nothing on its way: the stream of events is not touched, and the same
//! comparison as after a connect brings everything in line with the new settings.

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
use crate::telemetry::{Health, systemd};

/// How the daemon learns that its configuration was changed, and how it reads it.
pub struct Reloads {
    asked: mpsc::Receiver<()>,
    read: Read,
}

/// Reads the configuration, and takes up of it what is not the daemon's.
type Read = Box<dyn FnMut() -> anyhow::Result<Loaded> + Send>;

impl Reloads {
    /// Reads with `read` after each message to the sender. A message that finds another one waiting is the same wish, and
    /// may be dropped.
    pub fn new(read: impl FnMut() -> anyhow::Result<Loaded> + Send + 'static) -> (mpsc::Sender<()>, Self) {
        let (sender, asked) = mpsc::channel(1);
        let read = Box::new(read);
        (sender, Self { asked, read })
    }

    /// The configuration stays as it is.
    pub fn never() -> Self {
        Self::new(|| anyhow::bail!("nobody asks")).1
    }
}

/// Takes up new settings whenever somebody asks for it.
pub(in crate::daemon) async fn serve(
    mut reloads: Reloads,
    mut in_force: Settings,
    context: Arc<Context>,
    tasks: Tasks,
    health: Health,
) -> Infallible {
    let heartbeat = health.register("reload");
    let mut next = Instant::now();
    while heartbeat.while_waiting(reloads.asked.recv()).await.is_some() {
        // However many signals come, reading and comparing everything takes only so much of the time.
        heartbeat.while_waiting(sleep_until(next)).await;
        next = Instant::now() + context.limits.reload_every;
        // What was asked for meanwhile is this reload.
        while reloads.asked.try_recv().is_ok() {}
        // Before, the manager waits for the start itself.
        let tell = health.has_started();
        if tell {
            systemd::reloading();
        }
        let mut read = reloads.read;
        let (loaded, read_again) = heartbeat.while_waiting(apart(move || (read(), read))).await;
        reloads.read = read_again;
        context.metrics.reloaded(loaded.is_ok());
        match loaded {
            Ok(loaded) => take_up(loaded, &mut in_force, &context, &tasks),
            Err(error) => refuse(&error),
        }
        if tell {
            systemd::reloaded();
        }
    }
    heartbeat.while_waiting(std::future::pending()).await
}

fn take_up(loaded: Loaded, in_force: &mut Settings, context: &Arc<Context>, tasks: &Tasks) {
    let Loaded { settings, warnings } = loaded;
    let known: HashSet<Address> = if in_force.preload {
        in_force.routing.addresses().into_iter().collect()
    } else {
        HashSet::new()
    };
    let Changes {
        taken_up,
        after_restart,
    } = in_force.take_up(settings);
    context.teams.forget_refusals();
    context.live.replace(in_force);
    for warning in warnings {
        warn!("{warning}");
    }
    if taken_up.is_empty() && after_restart.is_empty() {
        info!("Configuration reloaded, no changes");
    } else {
        let changed = Some(taken_up.join(", ")).filter(|keys| !keys.is_empty());
        info!(changed, "Configuration reloaded");
    }
    for key in after_restart {
        warn!(key, "{key} has changed; this takes effect after a restart");
    }
    if in_force.preload {
        let mut new = in_force.routing.addresses();
        new.retain(|address| !known.contains(address));
        if !new.is_empty() {
            let context = Arc::clone(context);
            tasks.background("preload", async move { preload(&context, new).await });
        }
    }
    // Requests that nobody was told of may have recipients now, and pending ones may have more.
    context.resync_now.notify_one();
}

/// Logs that nothing was changed, and then every problem of the file.
fn refuse(error: &anyhow::Error) {
    let message = "Configuration not reloaded, keeping the previous one";
    let Some(Problems {
        file, list, unknown, ..
    }) = error.downcast_ref()
    else {
        error!(error = format!("{error:#}"), "{message}");
        return;
    };
    let file = file.display().to_string();
    error!(file, problems = list.len(), "{message}");
    for problem in list {
        error!(file, "{problem}");
    }
    for key in unknown {
        warn!(file, "{key}");
    }
}
