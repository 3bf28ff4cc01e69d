//! Draws every kind of card, for people who look at the cards and for the checks with independent programs.
//!
//! `cargo run --example cards` writes the gallery in `docs/cards`: each kind as JSON, and as a picture that Microsoft's own
//! renderer draws. `--lines` prints the cards on standard output instead (`tests/peers`).

mod fuzz;
mod kinds;
mod pictures;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;
use teleport_msteams::domain::card::{Card, Message};

use crate::kinds::Kind;

/// Write every kind of card as JSON and as a picture
#[derive(Debug, Parser)]
#[command(name = "cards")]
struct Options {
    /// The gallery's directory; the project's docs/cards by default
    directory: Option<PathBuf>,
    /// Draw no pictures
    #[arg(long)]
    no_pictures: bool,
    /// Print the cards as JSON instead, one per line
    #[arg(long, conflicts_with_all = ["directory", "no_pictures"])]
    lines: bool,
    /// Number of cards with random texts to print
    #[arg(long, value_name = "N", default_value_t = 0, requires = "lines")]
    fuzz: u64,
    /// Seed of the random texts
    #[arg(long, value_name = "S", default_value_t = 1, requires = "lines")]
    seed: u64,
}

/// A card as the checks and the gallery get it.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    summary: &'a str,
    card: &'a Card,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.lines {
        return print_lines(options.fuzz, options.seed);
    }
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cards");
    let directory = &options.directory.unwrap_or_else(usual);
    write_gallery(directory, &kinds::kinds())
        .with_context(|| format!("could not write the gallery in {}", directory.display()))?;
    if options.no_pictures {
        return Ok(());
    }
    Ok(io::stdout().write_all(pictures::draw(directory)?.as_bytes())?)
}

fn print_lines(fuzz: u64, seed: u64) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let kinds = kinds::kinds()
        .into_iter()
        .map(|kind| (kind.name.to_owned(), kind.message));
    for (name, message) in kinds.chain(fuzz::hostile()).chain(fuzz::random(fuzz, seed)) {
        serde_json::to_writer(&mut out, &entry(Some(&name), &message))?;
        writeln!(out)?;
    }
    Ok(())
}

fn entry<'a>(name: Option<&'a str>, Message { summary, card }: &'a Message) -> Entry<'a> {
    Entry { name, summary, card }
}

/// Writes the JSON of every kind and the page that lists them, and removes the files of kinds that no longer exist.
fn write_gallery(directory: &Path, kinds: &[Kind]) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let names: BTreeSet<_> = kinds.iter().map(|kind| kind.name).collect();
    anyhow::ensure!(names.len() == kinds.len(), "two kinds have the same name");
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let is_card = path.extension().is_some_and(|end| end == "json" || end == "png");
        if is_card && !names.contains(name) {
            fs::remove_file(&path)?;
        }
    }
    for kind in kinds {
        let json = serde_json::to_string_pretty(&entry(None, &kind.message))?;
        fs::write(directory.join(format!("{}.json", kind.name)), json + "\n")?;
    }
    Ok(fs::write(directory.join("README.md"), page(kinds)?)?)
}

/// Returns the page that shows all pictures.
fn page(kinds: &[Kind]) -> anyhow::Result<String> {
    let mut page = "\
# Cards

Every kind of card, drawn by Microsoft's own renderer (`adaptivecards` from npm) with Teams' host configurations: light and dark at a width of
520 pixels, and light at 300 pixels, as on a phone. Teams itself differs in fonts and buttons. The JSON beside each picture is the message: the
summary that a notification shows, and the card.

The example writes this page, the JSON and the pictures. Regenerate them after a change of the cards, and look at each picture:

    cargo run --example cards

The pictures need `node`, `npm` and `chromium`; without them, only the page and the JSON are written.
"
    .to_owned();
    for Kind { name, title, .. } in kinds {
        write!(
            page,
            "\n## {name}\n\n{title}\n\n![{title}]({name}.png)\n\n[JSON]({name}.json)\n"
        )?;
    }
    Ok(page)
}
