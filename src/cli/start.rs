//! `start`: runs the daemon until it receives a signal to stop.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing::info;
use tracing::warn;

use crate::cli::configured::ConfigFile;
use crate::cli::environment;
use crate::cli::open_files;
use crate::cli::report;
use crate::cli::version;
use crate::config::{Loaded, LogSettings, Problem, Settings};
use crate::daemon;
use crate::daemon::Reloads;
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
        let Loaded { settings, warnings } = self.load(debug).map_err(report::log_refusal)?;
        let log = telemetry::start(&settings.log)?;
        let logged = Arc::new(Mutex::new(settings.log.clone()));
        let ended = self.run_logged(debug, settings, &warnings, log, Arc::clone(&logged));
        let logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
        ended.map_err(|error| report::log(error, &logged))
    }

    /// Runs the daemon with an open log; `logged` holds the current log settings.
    fn run_logged(
        self,
        debug: bool,
        settings: Settings,
        warnings: &[Problem],
        log: Log,
        logged: Arc<Mutex<LogSettings>>,
    ) -> anyhow::Result<()> {
        let file = self.config.path.display().to_string();
        open_files::check()?;
        info!(file, version = version::facts(), "Configuration loaded");
        telemetry::log_warnings(Some(&self.config.path), warnings);
        #[cfg(debug_assertions)]
        if let Some(file) = environment::variable("TELEPORT_MSTEAMS_HANG") {
            crate::heartbeat::hang::follow_file(file.into());
        }
        let (reload, reloads) = Reloads::new(move || {
            let loaded = self.load_again(debug, &log)?;
            logged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone_from(&loaded.settings.log);
            Ok(loaded)
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let ended = runtime.block_on(until_signalled(settings, reload, reloads));
        // A blocked file operation must not keep the process alive.
        runtime.shutdown_background();
        ended
    }

    /// Reads the file, and applies the command line and the environment.
    fn load(&self, debug: bool) -> anyhow::Result<Loaded> {
        let mut loaded = self.config.load()?;
        let settings = &mut loaded.settings;
        settings.fail_fast = environment::flag("TELEPORT_PLUGIN_FAIL_FAST")?;
        if debug {
            settings.log.severity = settings.log.severity.max(Level::DEBUG);
            settings.log.filters = environment::variable("RUST_LOG");
        }
        Ok(loaded)
    }

    /// Reloads the file and applies its log settings. A log file that was rotated is reopened even if the configuration is
    /// invalid.
    fn load_again(&self, debug: bool, log: &Log) -> anyhow::Result<Loaded> {
        match self.load(debug) {
            Ok(loaded) => {
                log.follow(&loaded.settings.log)?;
                Ok(loaded)
            }
            Err(error) => {
                if let Err(error) = log.reopen() {
                    warn!(
                        error = format!("{error:#}"),
                        "Could not reopen the log file, keeping the current one"
                    );
                }
                Err(error)
            }
        }
    }
}

/// Runs the daemon. The first signal drains the deliveries in flight, the second one stops the daemon immediately.
async fn until_signalled(settings: Settings, reload: mpsc::Sender<()>, reloads: Reloads) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let daemon = daemon::run(settings, reloads, stop.clone());
    tokio::pin!(daemon);
    loop {
        let signal;
        tokio::select! {
            ended = &mut daemon => return ended,
            _ = terminate.recv() => signal = "SIGTERM",
            _ = interrupt.recv() => signal = "SIGINT",
            _ = hang_up.recv() => {
                // A pending reload covers this signal, too.
                let _ = reload.try_send(());
                continue;
            }
        }
        if stop.is_cancelled() {
            anyhow::bail!("stopped by a second signal; deliveries in flight resume after the next start");
        }
        info!(signal, "Signal received");
        stop.cancel();
    }
}
