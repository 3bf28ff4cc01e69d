//! `explain`: shows who is notified of one request and why, and what happens next.
//!
//! Architecture Invariant: reads only, and contacts Teleport alone. What it shows is decided in `domain`.

mod printing;
mod situation;
mod words;

use crate::cli::configured::ConfigFile;
use crate::cli::explain::printing::print;
use crate::cli::explain::situation::Situation;
use crate::domain::request::RequestId;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the request, its record and the rules from Teleport. Sends no message, and changes nothing.

Examples:
  tctl requests ls
  teleport-msteams explain 01a2b3c4-d5e6-4789-8abc-def012345678")]
pub(super) struct Options {
    /// ID of the Access Request
    #[arg(value_name = "REQUEST_ID")]
    id: String,
    #[command(flatten)]
    config: ConfigFile,
}

impl Options {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let settings = self.config.settings()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let situation = runtime.block_on(Situation::read(&settings, RequestId::new(self.id)))?;
        print(&settings, &situation);
        Ok(())
    }
}
