//! The real program as a process, between the pretend servers.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::world;
use crate::world::cluster::{Cluster, ClusterOptions};
use crate::world::identity::Validity;
use crate::world::tenant::{Tenant, TenantOptions};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_teleport-msteams");

pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) tenant: Tenant,
    /// When the program said that it is ready.
    pub(crate) ready: Instant,
    child: Child,
    folder: TempDir,
}

pub(crate) fn recipient(number: usize) -> String {
    format!("person-{number}@example.com")
}

impl Rig {
    /// Starts everything with so many recipients, who all have the app, and waits until they are known.
    pub(crate) async fn start(recipients: usize, round_trip: Duration) -> anyhow::Result<Self> {
        let cluster = Cluster::start(ClusterOptions::default()).await;
        let tenant = Tenant::start(TenantOptions::default()).await;
        let mails: Vec<_> = (0..recipients).map(recipient).collect();
        for mail in &mails {
            tenant.add_user(mail, Some(mail), mail);
        }
        cluster.faults(|faults| faults.latency = round_trip);
        tenant.faults(|faults| {
            faults.latency = round_trip;
            faults.enforce_limits = true;
        });
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("teleport-msteams.toml");
        let identity = folder.path().join("identity");
        let user = cluster.authority().user("bench", &[], Validity::ONE_DAY);
        std::fs::write(&identity, cluster.authority().identity_file(&user))?;
        let options = tenant.options();
        // Everybody is known beforehand; who is told is said by each request.
        let config = format!(
            "preload = true\n[teleport]\naddr = {:?}\nidentity = {:?}\n[msapi]\napp_id = {:?}\napp_secret = {:?}\n\
             tenant_id = {:?}\nteams_app_id = {:?}\n[msapi.endpoints]\nlogin = {:?}\ngraph = {:?}\nbot = {:?}\n\
             [role_to_recipients]\n\"*\" = []\neverybody = {mails:?}\n",
            cluster.address(),
            identity.to_string_lossy(),
            options.app_id,
            options.app_secret,
            options.tenant_id,
            options.teams_app_id,
            tenant.login(),
            tenant.graph(),
            tenant.bot(),
        );
        std::fs::write(&file, config)?;
        let mut child = Command::new(PROGRAM)
            .args(["start", "--config"])
            .arg(&file)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        let (mut ready, mut known) = (None, false);
        while ready.is_none() || !known {
            let line = lines.next_line().await?.context("the program ended")?;
            if line.contains("Plugin is ready") {
                ready = Some(Instant::now());
            }
            known |= line.contains("Recipient data preloaded and cached.");
        }
        // Nobody reads the rest, but the pipe must not fill up.
        world::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            cluster,
            tenant,
            ready: ready.context("the loop ends when it is ready")?,
            child,
            folder,
        })
    }

    /// Waits until there are so many messages.
    pub(crate) async fn messages(&self, count: usize) {
        let mut changes = self.tenant.changes();
        while self.tenant.messages() < count {
            // The tenant lives as long as the rig.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Runs `validate` for so many recipients.
    pub(crate) async fn validate(&self, recipients: usize) -> anyhow::Result<()> {
        let status = Command::new(PROGRAM)
            .args(["validate", "--config"])
            .arg(self.folder.path().join("teleport-msteams.toml"))
            .args((0..recipients).map(recipient))
            .stdout(Stdio::null())
            .status()
            .await?;
        anyhow::ensure!(status.success(), "validate ended with {status}");
        Ok(())
    }

    /// Reads one line of what the kernel knows of the process, in bytes.
    pub(crate) fn memory(&self, line: &str) -> anyhow::Result<u64> {
        let id = self.child.id().context("the program runs")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let value = status.lines().find_map(|found| found.strip_prefix(line));
        let kilobytes = value
            .and_then(|value| value.split_whitespace().next())
            .context("the kernel tells")?;
        Ok(kilobytes.parse::<u64>()? * 1_024)
    }
}
