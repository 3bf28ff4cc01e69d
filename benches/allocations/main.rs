//! Counts the daemon's heap allocations: for an event, for a delivery, and while idle.
//!
//! The daemon runs in this process, where all allocations are counted; the fake servers run in another one, so that theirs are
//! not. `cargo bench --bench allocations` prints a table. `-- PATTERN FILE` measures one figure, and writes the call sites of its
//! allocations to a file for DHAT's viewer; use `--profile dev` with it, which keeps the names of functions.

#![expect(clippy::print_stdout, reason = "the table goes to the terminal")]

mod counting;
mod daemon;
mod far;
#[path = "../delivery/servers.rs"]
mod servers;

use std::path::Path;
use std::time::Duration;

use crate::counting::{Counted, count, quiet};
use crate::daemon::Daemon;
use crate::far::Far;

#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

/// The number of repetitions; the figures are per repetition.
const TIMES: usize = 50;

/// Each figure, and the command that the servers get for it.
const FIGURES: [(&str, &str); 5] = [
    ("an event that changes nothing", "repeat"),
    ("an announcement to one preloaded recipient", "create"),
    ("a review, shown on one card", "review"),
    ("a press, its answer, and the review on one card", "press"),
    ("an approval, shown on one card", "approve"),
];

/// The same while the requester is notified, too.
const NOTIFYING: [(&str, &str); 2] = [
    ("an announcement to one preloaded recipient and the requester", "create"),
    ("an approval, shown on two cards, and the decision", "approve"),
];

const IDLE: &str = "an idle minute";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    if let [far::COMMAND, arguments @ ..] = &words[..] {
        return far::serve(arguments);
    }
    let (pattern, file) = match words[..] {
        [] => ("", None),
        [pattern, file] => (pattern, Some(Path::new(file))),
        _ => anyhow::bail!("expected a pattern and a file, or no arguments"),
    };
    println!("| what | allocations | bytes |\n|---|---|---|");
    measure(false, &FIGURES, pattern, file)?;
    measure(true, &NOTIFYING, pattern, file)
}

/// Measures the figures that match the pattern, with a new daemon.
fn measure(notifies: bool, figures: &[(&str, &str)], pattern: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let mut wanted = figures.iter().filter(|(figure, _)| figure.contains(pattern)).peekable();
    let counts_idle = !notifies && IDLE.contains(pattern);
    if wanted.peek().is_none() && !counts_idle {
        return Ok(());
    }
    let times = if file.is_some() { 1 } else { TIMES };
    let mut far = Far::start(notifies)?;
    let _daemon = Daemon::start(far.config())?;
    // The first operations open connections and fill caches.
    for (_, command) in figures {
        far.command(command)?;
    }
    quiet();
    for (figure, command) in wanted {
        let mut counted = Counted::default();
        for _ in 0..times {
            // Each repetition uses a new request that has been announced.
            far.command("create")?;
            quiet();
            counted += count(file, || far.command(command))?;
        }
        counted.print(figure, times);
    }
    if counts_idle {
        let idle = || {
            std::thread::sleep(Duration::from_mins(1));
            Ok(())
        };
        count(file, idle)?.print(IDLE, 1);
    }
    Ok(())
}
