//! Runs the real daemon on a separate runtime, so that the sandbox can stop it, or kill it as a power cut would.
//!
//! Architecture Invariant: uses the same library entry as `start`; the sandbox has no other access to the daemon.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context as _;
use teleport_msteams::config;
use teleport_msteams::config::Limits;
use teleport_msteams::config::Loaded;
use teleport_msteams::daemon;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long after a failure the daemon restarts, as under a service manager.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// The longest time between retries; the default of half a minute is too long to watch.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A cloneable handle to the daemon.
#[derive(Clone)]
pub struct DaemonHost(Arc<Shared>);

struct Shared {
    config: PathBuf,
    current: Mutex<Current>,
    changes: watch::Sender<u64>,
}

enum Current {
    Running(Running),
    /// The word says how it ended.
    Away(&'static str),
}

struct Running {
    runtime: Runtime,
    stop: CancellationToken,
    /// The outcome of the daemon once it has ended; closed without a value if it was killed.
    ended: watch::Receiver<Option<Result<(), String>>>,
}

/// The state of the daemon, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// `running`, `stopping`, `stopped`, `killed` or `failed`.
    pub word: &'static str,
    /// The error of a failed daemon.
    pub note: String,
}

impl DaemonHost {
    pub fn new(config: PathBuf) -> Self {
        Self(Arc::new(Shared {
            config,
            current: Mutex::new(Current::Away("stopped")),
            changes: watch::Sender::new(0),
        }))
    }

    /// Returns a receiver that changes with [`DaemonHost::phase`].
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    pub fn phase(&self) -> Phase {
        let (word, note) = match &*self.current() {
            Current::Away(word) => (*word, String::new()),
            Current::Running(running) => match &*running.ended.borrow() {
                None if running.stop.is_cancelled() => ("stopping", String::new()),
                None => ("running", String::new()),
                Some(Ok(())) => ("stopped", String::new()),
                Some(Err(why)) => ("failed", why.clone()),
            },
        };
        Phase { word, note }
    }

    /// Starts the daemon unless it is running.
    pub fn start(&self) -> anyhow::Result<()> {
        let mut current = self.current();
        if let Current::Running(running) = &*current
            && running.ended.borrow().is_none()
        {
            return Ok(());
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("daemon")
            .enable_all()
            .build()
            .context("could not create a runtime for the daemon")?;
        let stop = CancellationToken::new();
        let (sender, ended) = watch::channel(None);
        let (host, until) = (self.clone(), stop.clone());
        runtime.spawn(async move {
            let outcome = run(&host.0.config, until).await;
            let outcome = outcome.map_err(|error| format!("{error:#}"));
            if let Err(why) = &outcome {
                tracing::error!("{why}");
            }
            // The send fails only if the host is gone.
            let _ = sender.send(Some(outcome));
            host.changed();
        });
        let running = Running { runtime, stop, ended };
        if let Current::Running(old) = std::mem::replace(&mut *current, Current::Running(running)) {
            old.runtime.shutdown_background();
        }
        drop(current);
        self.changed();
        Ok(())
    }

    /// Stops the daemon as the first SIGTERM does, and waits until it has ended.
    pub async fn stop(&self) {
        let ended = match &*self.current() {
            Current::Away(_) => return,
            Current::Running(running) => {
                running.stop.cancel();
                running.ended.clone()
            }
        };
        self.changed();
        let mut waiting = ended.clone();
        // An error means that the daemon was killed in the meantime.
        let _ = waiting.wait_for(Option::is_some).await;
        self.leave("stopped", Some(&ended));
    }

    /// Ends the daemon immediately: it finishes and records nothing more.
    pub fn kill(&self) {
        self.leave("killed", None);
    }

    pub async fn restart(&self) -> anyhow::Result<()> {
        self.stop().await;
        self.start()
    }

    /// Restarts the daemon whenever it has failed. Never returns.
    pub async fn supervise(&self) -> anyhow::Result<()> {
        let mut changes = self.subscribe();
        loop {
            if self.phase().word == "failed" {
                tokio::time::sleep(RESTART_DELAY).await;
                if self.phase().word == "failed" {
                    self.start()?;
                }
            }
            changes.changed().await.context("the daemon's host is gone")?;
        }
    }

    /// Drops the runtime. If `only` is given, does so only if it belongs to the current daemon.
    fn leave(&self, word: &'static str, only: Option<&watch::Receiver<Option<Result<(), String>>>>) {
        let mut current = self.current();
        if let Current::Running(running) = &*current
            && only.is_none_or(|only| only.same_channel(&running.ended))
            && let Current::Running(old) = std::mem::replace(&mut *current, Current::Away(word))
        {
            old.runtime.shutdown_background();
        }
        drop(current);
        self.changed();
    }

    fn changed(&self) {
        self.0.changes.send_modify(|version| *version += 1);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the daemon as `start` does, with shorter limits.
async fn run(config: &Path, stop: CancellationToken) -> anyhow::Result<()> {
    let Loaded { mut settings, warnings } = config::load(config, &|_| None)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    settings.limits = Limits {
        microsoft_longest_pause: LONGEST_PAUSE,
        teleport_longest_pause: LONGEST_PAUSE,
        again_first_pause: Duration::from_secs(1),
        again_longest_pause: LONGEST_PAUSE,
        claim_term: Duration::from_secs(3),
        ..settings.limits
    };
    daemon::run(settings, daemon::Reloads::never(), stop).await
}
