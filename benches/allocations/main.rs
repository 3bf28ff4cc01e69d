//! How often the daemon asks for memory: for an event, for a delivery, and while nothing happens.
//!
//! The daemon runs in this process, where everything on the heap is counted; the pretend servers run in another one, so
//! that what they need does not count. `cargo bench --bench allocations` prints a table. With `-- PATTERN FILE` one
//! figure is measured, and where its memory was asked for is written to a file that DHAT's viewer shows; that wants
//! `--profile dev`, which knows the names of functions.

#![expect(clippy::print_stdout, reason = "the table is for the person who asked for it")]

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

/// How often each thing is done; the figures are for one.
const TIMES: usize = 50;

/// What is counted, and what it is for the servers.
const FIGURES: [(&str, &str); 4] = [
    ("an event that changes nothing", "repeat"),
    ("an announcement to one known recipient", "create"),
    ("a review, shown on one card", "review"),
    ("an approval, shown on one card", "approve"),
];

const IDLE: &str = "a minute in which nothing happens";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    if words == [far::COMMAND] {
        return far::serve();
    }
    let (pattern, file) = match words[..] {
        [] => ("", None),
        [pattern, file] => (pattern, Some(Path::new(file))),
        _ => anyhow::bail!("wanted are a pattern and a file, or nothing"),
    };
    let times = if file.is_some() { 1 } else { TIMES };
    let mut far = Far::start()?;
    let _daemon = Daemon::start(far.config())?;
    // The first of everything opens connections and fills caches.
    for (_, command) in FIGURES {
        far.tell(command)?;
    }
    quiet();
    println!("| what | allocations | bytes |\n|---|---|---|");
    for (figure, command) in FIGURES.into_iter().filter(|(figure, _)| figure.contains(pattern)) {
        let mut counted = Counted::default();
        for _ in 0..times {
            // Each is done to a new request, which everybody knows.
            far.tell("create")?;
            quiet();
            counted += count(file, || far.tell(command))?;
        }
        counted.print(figure, times);
    }
    if IDLE.contains(pattern) {
        let idle = || {
            std::thread::sleep(Duration::from_mins(1));
            Ok(())
        };
        count(file, idle)?.print(IDLE, 1);
    }
    Ok(())
}
