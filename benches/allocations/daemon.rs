//! The real daemon, in this process.

use std::path::Path;

use anyhow::anyhow;
use teleport_msteams::config;
use teleport_msteams::daemon;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// A running daemon; it ends with its runtime.
pub(crate) struct Daemon {
    _runtime: Runtime,
}

impl Daemon {
    /// Starts it with its usual log, which goes nowhere.
    pub(crate) fn start(file: &Path) -> anyhow::Result<Self> {
        let loaded = config::load(file, &|_| None);
        let settings = loaded.map_err(|problems| anyhow!("{problems:?}"))?.settings;
        tracing_subscriber::fmt()
            .with_env_filter("info")
            .with_writer(std::io::sink)
            .try_init()
            // Set already by the daemon before this one.
            .ok();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        runtime.spawn(daemon::run(
            settings,
            daemon::Reloads::never(),
            CancellationToken::new(),
        ));
        Ok(Self { _runtime: runtime })
    }
}
