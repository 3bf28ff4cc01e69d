//! The real daemon as a separate process, which the run can kill.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::{Child, Command};

use crate::company;

/// One replica. It keeps its number across restarts.
pub(crate) struct Replica {
    pub(crate) number: usize,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Replica {
    pub(crate) fn new(number: usize, folder: &Path) -> Self {
        Self {
            number,
            config: company::config_file(folder, number),
            log: folder.join(format!("replica-{number}.log")),
            child: None,
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Returns true once after the process has exited, by itself or because of a signal.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        let ended = match &mut self.child {
            Some(child) => child.try_wait()?.is_some(),
            None => false,
        };
        if ended {
            self.child = None;
        }
        Ok(ended)
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(std::env::current_exe()?)
            .arg("start")
            .arg("--config")
            .arg(&self.config)
            .arg("--debug")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("could not start the daemon")?;
        self.child = Some(child);
        Ok(())
    }

    /// Kills it with SIGKILL, so that it finishes and records nothing more.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.child.as_ref().and_then(Child::id) else {
            return Ok(());
        };
        // The process may have exited already; then the error does not matter.
        Command::new("kill").arg("-TERM").arg(id.to_string()).status().await?;
        Ok(())
    }

    /// Waits until the process has exited.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.wait().await?;
        }
        Ok(())
    }

    /// Returns the log lines that mention a request.
    pub(crate) fn lines_about(&self, request: &str) -> Vec<String> {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().filter(|line| line.contains(request));
        lines.map(|line| format!("replica {}: {line}", self.number)).collect()
    }
}
