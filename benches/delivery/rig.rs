//! The real daemon as a process, between the fake servers.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::servers::{Servers, recipient};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_teleport-msteams");

pub(crate) struct Rig {
    pub(crate) servers: Servers,
    /// The time at which the daemon logged that it is ready.
    pub(crate) ready: Instant,
    child: Child,
}

impl Rig {
    /// Starts everything with this number of recipients, who all have the app, and waits until they are preloaded.
    pub(crate) async fn start(recipients: usize, round_trip: Duration) -> anyhow::Result<Self> {
        Self::around(Servers::start(recipients, round_trip).await?).await
    }

    /// Does the same, beside people who have the app and are not in the configuration, so that they are not preloaded.
    pub(crate) async fn with_strangers(
        recipients: usize,
        strangers: usize,
        round_trip: Duration,
    ) -> anyhow::Result<Self> {
        Self::around(Servers::with_strangers(recipients, strangers, round_trip).await?).await
    }

    /// Does the same as [`start`](Self::start), with buttons on the cards, and returns the address for presses too.
    pub(crate) async fn with_reviews(recipients: usize, round_trip: Duration) -> anyhow::Result<(Self, String)> {
        let servers = Servers::start(recipients, round_trip).await?;
        let address = servers.turn_on_reviews()?;
        Ok((Self::around(servers).await?, address))
    }

    /// Does the same, with all notifications on, for as many requesters.
    pub(crate) async fn with_notifications(recipients: usize, round_trip: Duration) -> anyhow::Result<Self> {
        let servers = Servers::start(recipients, round_trip).await?;
        servers.turn_on_notifications(recipients)?;
        Self::around(servers).await
    }

    /// Starts the daemon around servers that are configured.
    pub(crate) async fn around(servers: Servers) -> anyhow::Result<Self> {
        let mut child = Command::new(PROGRAM)
            .args(["start", "--config"])
            .arg(servers.config())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        let (mut ready, mut known) = (None, false);
        while ready.is_none() || !known {
            let line = lines.next_line().await?.context("the daemon ended")?;
            if line.contains("Plugin is ready") {
                ready = Some(Instant::now());
            }
            known |= line.contains("Recipient data preloaded and cached.");
        }
        // Read the rest too, so that the pipe does not fill up.
        world::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            servers,
            ready: ready.context("the loop ends when it is ready")?,
            child,
        })
    }

    /// Stops the daemon, and returns the servers.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Servers> {
        self.child.kill().await?;
        Ok(self.servers)
    }

    /// Waits until the tenant has this number of messages.
    pub(crate) async fn messages(&self, count: usize) {
        let mut changes = self.servers.tenant.changes();
        while self.servers.tenant.messages() < count {
            // The tenant lives as long as the rig.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Runs `validate` for this number of recipients.
    pub(crate) async fn validate(&self, recipients: usize) -> anyhow::Result<()> {
        let status = Command::new(PROGRAM)
            .args(["validate", "--config"])
            .arg(self.servers.config())
            .args((0..recipients).map(recipient))
            .stdout(Stdio::null())
            .status()
            .await?;
        anyhow::ensure!(status.success(), "validate ended with {status}");
        Ok(())
    }

    /// Reads a field of the process's memory status, in bytes.
    pub(crate) fn memory(&self, line: &str) -> anyhow::Result<u64> {
        let id = self.child.id().context("the daemon is not running")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let value = status.lines().find_map(|found| found.strip_prefix(line));
        let kilobytes = value
            .and_then(|value| value.split_whitespace().next())
            .context("the field is missing")?;
        Ok(kilobytes.parse::<u64>()? * 1_024)
    }

    /// Returns the processor time of the daemon.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let id = self.child.id().context("the daemon is not running")?;
        let facts = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // After the name in brackets come the state, ten other numbers, and the times in hundredths of a second.
        let (_, numbers) = facts.rsplit_once(')').context("the process has no name")?;
        let times = numbers.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let hundredths: u64 = times.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(hundredths * 10))
    }
}
