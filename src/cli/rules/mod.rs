//! `rules`: checks and tests Access Monitoring Rules without a cluster.
//!
//! Architecture Invariant: reads only the files in its arguments; `domain::rules` defines what a rule means.

mod check;
mod document;
mod finding;
mod inputs;
mod test;
mod tested;
mod yaml;

use clap::Subcommand;

pub(super) use tested::{Tested, print};

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  tctl get access_monitoring_rule > rules.yaml
  teleport-msteams rules check rules.yaml
  teleport-msteams rules test rules.yaml --request request.json"
)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find every mistake in Access Monitoring Rules
    Check(check::Options),
    /// Show who the rules would notify of an Access Request, and why
    Test(test::Options),
}

impl Options {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Check(options) => options.run(),
            Command::Test(options) => options.run(),
        }
    }
}
