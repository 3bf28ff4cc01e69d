//! Counts heap allocations.

use std::ops::AddAssign;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use dhat::{HeapStats, Profiler};

/// The time without allocations after which an operation is considered complete.
const QUIET: Duration = Duration::from_millis(60);

/// Stack depth that reaches from the libraries to this crate's functions.
const FRAMES: usize = 60;

#[derive(Clone, Copy, Default)]
pub(crate) struct Counted {
    blocks: u64,
    bytes: u64,
}

/// Counts the allocations during an operation and until the process is idle again.
pub(crate) fn count(file: Option<&Path>, doing: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Counted> {
    let profiler = Profiler::builder();
    let profiler = match file {
        Some(file) => profiler.file_name(file).trim_backtraces(Some(FRAMES)).build(),
        None => profiler.testing().build(),
    };
    doing()?;
    wait();
    let stats = HeapStats::get();
    drop(profiler);
    Ok(Counted {
        blocks: stats.total_blocks,
        bytes: stats.total_bytes,
    })
}

/// Waits until the process is idle.
pub(crate) fn quiet() {
    let profiler = Profiler::builder().testing().build();
    wait();
    drop(profiler);
}

fn wait() {
    let mut before = u64::MAX;
    loop {
        let now = HeapStats::get().total_blocks;
        if now == before {
            return;
        }
        before = now;
        sleep(QUIET);
    }
}

impl Counted {
    #[expect(clippy::cast_precision_loss, reason = "an approximate figure")]
    pub(crate) fn print(self, figure: &str, times: usize) {
        let each = |count: u64| count as f64 / times as f64;
        println!("| {figure} | {:.0} | {:.0} |", each(self.blocks), each(self.bytes));
    }
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.bytes += other.bytes;
    }
}
