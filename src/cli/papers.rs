//! `completions` and `man`: what shells and manuals want to know, from the same definitions as the help.

use std::fs;
use std::path::PathBuf;

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
    shell: Known,
}

/// The shells that are tried.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Known {
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
    /// Write a page for each command into this folder, instead of the first one to stdout
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(self, mut command: Command) {
        let shell = match self.shell {
            Known::Bash => Shell::Bash,
            Known::Zsh => Shell::Zsh,
            Known::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        let name = command.get_name().to_owned();
        generate(shell, &mut command, name, &mut script);
        output::bytes(&script);
    }
}

impl Man {
    pub(super) fn run(self, mut command: Command) -> anyhow::Result<()> {
        command.build();
        if let Some(dir) = self.dir {
            fs::create_dir_all(&dir).with_context(|| format!("could not make {}", dir.display()))?;
            return clap_mangen::generate_to(command, &dir)
                .with_context(|| format!("could not write the pages to {}", dir.display()));
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .context("could not write the page")?;
        output::bytes(&page);
        Ok(())
    }
}
