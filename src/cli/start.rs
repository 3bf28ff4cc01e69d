//! `start`: run until told to stop.

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing::{info, warn};

use crate::cli::configured::ConfigFile;
use crate::cli::environment;
use crate::config::{Loaded, Settings};
use crate::daemon;
use crate::telemetry;
use crate::telemetry::Log;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  teleport-msteams start
  teleport-msteams start -d --config=./teleport-msteams.toml")]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigFile,
}

impl Options {
    pub(super) fn run(self, debug: bool) -> anyhow::Result<()> {
        let Loaded { mut settings, warnings } = self.config.load()?;
        settings.fail_fast = environment::flag("TELEPORT_PLUGIN_FAIL_FAST")?;
        if debug {
            settings.log.severity = settings.log.severity.max(Level::DEBUG);
            settings.log.filters = environment::variable("RUST_LOG");
        }
        let log = telemetry::start(&settings.log)?;
        for warning in warnings {
            warn!(file = %self.config.path.display(), "{warning}");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(until_told(settings, log))
    }
}

/// Runs the daemon; the first signal lets it finish what is on its way, the second one ends it at once.
async fn until_told(settings: Settings, log: Log) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let daemon = daemon::run(settings, stop.clone());
    tokio::pin!(daemon);
    loop {
        tokio::select! {
            ended = &mut daemon => return ended,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {
                // The guide's unit sends it on reload, which must not end the daemon.
                match log.reopen() {
                    Ok(true) => info!("Log file opened again"),
                    Ok(false) => {}
                    Err(error) => warn!(error = format!("{error:#}"), "The log file stays the old one"),
                }
                warn!("The configuration is read at the start alone; restart to apply changes");
                continue;
            }
        }
        if stop.is_cancelled() {
            anyhow::bail!("stopped by a second signal; deliveries in flight are taken up again after the next start");
        }
        stop.cancel();
    }
}
