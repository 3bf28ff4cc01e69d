//! The configuration argument and other code that several commands share.

use std::path::PathBuf;

use crate::cli::environment;
use crate::cli::output::{complain, say};
use crate::config;
use crate::config::{Loaded, Problems, Settings};
use crate::msteams::{Error, Teams};

/// The argument `--config`.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigFile {
    /// Configuration file
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "/etc/teleport-msteams.toml"
    )]
    pub(super) path: PathBuf,
}

impl ConfigFile {
    pub(super) fn load(&self) -> Result<Loaded, Problems> {
        config::load(&self.path, &environment::variable)
    }

    /// Reads the file for a command without a log, and prints warnings to stderr.
    pub(super) fn settings(&self) -> Result<Settings, Problems> {
        let Loaded { settings, warnings } = self.load()?;
        for warning in warnings {
            complain!("WARNING: {}", warning.what());
            if let Some(hint) = warning.hint() {
                complain!("hint: {hint}");
            }
        }
        Ok(settings)
    }
}

/// Finds the app in the catalog, with the output of Teleport's guide.
pub(super) async fn find_app(settings: &Settings) -> Result<Teams, Error> {
    say!(" - Checking application {} status...", settings.microsoft.teams_app_id);
    let teams = Teams::new(&settings.microsoft, &settings.limits)?;
    let app = teams.find_app().await?;
    say!(" - Application found in the team app store (internal ID: {})", app.id);
    Ok(teams)
}
