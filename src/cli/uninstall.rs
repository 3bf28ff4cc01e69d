//! `uninstall`: uninstalls the app for the users in the configuration.

use std::io::{IsTerminal as _, stderr};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;

use crate::cli::configured::{ConfigFile, find_app};
use crate::cli::output::say;
use crate::cli::report::{Failed, Hinted};
use crate::config::Settings;
use crate::domain::recipients::Address;
use crate::msteams;
use crate::msteams::Teams;

/// Concurrent users; the calls themselves are paced to Microsoft's limits.
const CONCURRENCY: usize = 8;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Channels are not changed: remove the app from their teams in Teams. Suggested reviewers who are \
not in the configuration, and members of groups, keep the app. Stop the daemon first: it reinstalls the app while it runs.

Examples:
  teleport-msteams uninstall --dry-run
  teleport-msteams uninstall -c /etc/teleport-msteams.toml")]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigFile,
    /// Only list the users who have the app
    #[arg(long)]
    dry_run: bool,
}

impl Options {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let settings = self.config.settings()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(uninstall(&settings, self.dry_run))
    }
}

async fn uninstall(settings: &Settings, dry_run: bool) -> anyhow::Result<()> {
    let endpoints = &settings.microsoft.endpoints;
    if !endpoints.installations.of_people() {
        let hint = hint!(
            "Remove the app from the app setup policy (Teams admin center, Teams apps, Setup policies), or delete it from the app catalog"
        );
        let what = format!(
            "Graph of the cloud {} cannot read or remove installations of the app",
            endpoints.cloud
        );
        bail!(Hinted { what, hint });
    }
    let teams = find_app(settings).await?;
    if !dry_run {
        say!(" - Stop the daemon first: it reinstalls the app while it runs");
    }
    let mut users = settings.recipients();
    users.retain(Address::is_person);
    let all = users.len();
    let bar = if stderr().is_terminal() {
        ProgressBar::new(u64::try_from(all).unwrap_or(u64::MAX))
    } else {
        ProgressBar::hidden()
    };
    let teams = &teams;
    let mut done = stream::iter(users)
        .map(|address| async move {
            let removed = remove(teams, &address, dry_run).await;
            (address, removed)
        })
        .buffered(CONCURRENCY);
    let (mut removed, mut failed) = (0_usize, 0_usize);
    while let Some((address, outcome)) = done.next().await {
        let address = address.as_str();
        let line = match &outcome {
            Ok(true) if dry_run => format!(" - {address} has the app"),
            Ok(true) => format!(" - Uninstalled for {address}"),
            Ok(false) => format!(" - {address} does not have the app"),
            Err(error) => format!(" - Could not uninstall for {address}: {error}"),
        };
        bar.suspend(|| say!("{line}"));
        if let Some(hint) = outcome.as_ref().err().and_then(msteams::Error::hint) {
            bar.suspend(|| say!("   hint: {hint}"));
        }
        removed += usize::from(matches!(outcome, Ok(true)));
        failed += usize::from(outcome.is_err());
        bar.inc(1);
    }
    bar.finish_and_clear();
    if failed > 0 {
        bail!(Failed(format!(
            "could not uninstall the app for {failed} of {all} users"
        )));
    }
    if dry_run {
        say!("{removed} of {all} users have the app; dry run, nothing changed");
    } else {
        say!("Successfully uninstalled app for all recipients ({removed} of {all} had it)");
    }
    Ok(())
}

/// Removes the app, or only returns whether it is installed.
async fn remove(teams: &Teams, address: &Address, dry_run: bool) -> Result<bool, msteams::Error> {
    let user = match teams.find_user(address).await {
        // A user who does not exist has no app.
        Err(error) if error.meaning() == msteams::Meaning::NotFound => return Ok(false),
        user => user?,
    };
    let user = user.unwrap_or_else(|| address.as_str().to_owned());
    if dry_run {
        let status = teams.has_app(address, Some(&user)).await?;
        Ok(matches!(status, msteams::AppStatus::Installed { .. }))
    } else {
        teams.uninstall(address, &user).await
    }
}
