//! `completions` and `man`: generated from the same definitions as the help.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use clap_complete::aot::generate;

use crate::cli::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(teleport-msteams completions bash)
  teleport-msteams completions zsh > ~/.zfunc/_teleport-msteams
  teleport-msteams completions fish > ~/.config/fish/completions/teleport-msteams.fish")]
pub(super) struct Completions {
    #[arg(value_enum)]
    shell: SupportedShell,
}

/// The supported shells.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SupportedShell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  teleport-msteams man | man -l -
  teleport-msteams man --dir /usr/local/share/man/man1")]
pub(super) struct Man {
    /// Write one page for each command to this directory, instead of the main page to stdout
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(self, mut command: Command) {
        let shell = match self.shell {
            SupportedShell::Bash => Shell::Bash,
            SupportedShell::Zsh => Shell::Zsh,
            SupportedShell::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        let name = command.get_name().to_owned();
        generate(shell, &mut command, name, &mut script);
        output::bytes(&script);
    }
}

impl Man {
    pub(super) fn run(self, command: Command) -> anyhow::Result<()> {
        // Pages about `help` would only repeat the others.
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let Some(dir) = self.dir else {
            output::bytes(&page(&command).context("could not generate the page")?.1);
            return Ok(());
        };
        fs::create_dir_all(&dir).with_context(|| format!("could not create {}", dir.display()))?;
        write_all(&command, &dir).with_context(|| format!("could not write the pages to {}", dir.display()))
    }
}

/// Writes the page of a command and those of its subcommands.
fn write_all(command: &Command, dir: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_all(subcommand, dir)?;
    }
    let (name, text) = page(command)?;
    fs::write(dir.join(name), text)
}

/// Returns the name of a page's file, and the page.
fn page(command: &Command) -> io::Result<(String, Vec<u8>)> {
    let page = clap_mangen::Man::new(command.clone())
        .date(env!("BUILD_DATE"))
        .source(concat!("teleport-msteams ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8_lossy(&text).replace(".SH EXTRA", ".SH NOTES AND EXAMPLES");
    Ok((page.get_filename(), text.into_bytes()))
}
