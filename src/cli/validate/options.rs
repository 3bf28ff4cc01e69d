//! The arguments of `validate`.

use anyhow::bail;

use crate::cli::configured::ConfigFile;
use crate::cli::report::Failed;
use crate::cli::validate::{everything, recipients};

#[expect(clippy::struct_excessive_bools, reason = "each is a separate flag")]
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  teleport-msteams validate alice@example.com
      sends Alice two messages, and prints each step
  teleport-msteams validate --all
      checks the file, the identity, Teleport, Microsoft and every recipient without sending a message
  teleport-msteams validate --all --send
      also sends a message to every recipient
  teleport-msteams validate --all --json
      prints one JSON object per line, and a summary at the end")]
pub(in crate::cli) struct Options {
    /// Email addresses, user IDs and links to channels
    #[arg(required_unless_present = "all")]
    recipients: Vec<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// Check the whole setup and every recipient of the configuration, without sending a message
    #[arg(long)]
    all: bool,
    /// Also send a test message to every recipient, and install the app where it is missing
    #[arg(long, requires = "all", conflicts_with_all = ["offline", "no_message"])]
    send: bool,
    /// The default of --all; accepted for existing scripts
    #[arg(long, requires = "all", hide = true)]
    no_message: bool,
    /// Check only local files
    #[arg(long, requires = "all")]
    offline: bool,
    /// Print one JSON object for each result
    #[arg(long, requires = "all")]
    json: bool,
}

impl Options {
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Self {
            recipients,
            config,
            all,
            send,
            no_message: _,
            offline,
            json,
        } = self;
        if all {
            let wanted = everything::Wanted {
                send,
                offline,
                json,
                recipients,
            };
            return runtime.block_on(everything::check(&config.path, wanted));
        }
        let settings = config.settings()?;
        let failed = runtime.block_on(recipients::check(&settings, &recipients))?;
        if failed > 0 {
            bail!(Failed(format!(
                "could not notify {failed} of {} recipients",
                recipients.len()
            )));
        }
        Ok(())
    }
}
