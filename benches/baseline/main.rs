//! Compares this program with a simple model of the Go plugin. The release binary and the model run at the same time, each with
//! its own fake cluster and fake tenant, which have 50 ms of latency and enforce Microsoft's documented limits.
//!
//! `cargo bench --bench baseline` prints a table and draws `benches/baseline.svg`, or the file named after `--`.

#![expect(clippy::print_stdout, reason = "the table goes to the terminal")]

mod model;
mod plot;
#[path = "../delivery/rig.rs"]
#[expect(dead_code, reason = "other benches use the rest of it")]
mod rig;
#[path = "../delivery/servers.rs"]
mod servers;
mod side;
mod svg;
mod table;
mod tally;
mod trials;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::sleep;

use crate::model::Repeat;
use crate::side::Side;
use crate::tally::Tally;
use crate::trials::{Burst, Spread, Start};

/// The round-trip time to either server.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// The number of recipients.
const PEOPLE: usize = 1_000;

/// Longer than the window of the limit on messages to one conversation.
const BETWEEN: Duration = Duration::from_secs(3);

/// The programs compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Program,
    Model,
    /// The model without one bug of the plugin's HTTP library.
    Kinder,
}

pub(crate) struct Results {
    pub(crate) start: Start,
    pub(crate) spread: Vec<(By, Vec<Spread>)>,
    pub(crate) faults: Vec<(By, Tally)>,
    pub(crate) burst: Vec<(By, Burst)>,
}

impl By {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Program => "this program",
            Self::Model => "model of the Go plugin",
            Self::Kinder => "the model, if its retries kept their body",
        }
    }

    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Program => "this program",
            Self::Model => "model of the Go plugin",
            Self::Kinder => "model with whole retries",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    // Cargo adds its own option.
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let file = named.map_or_else(|| root.join("benches/baseline.svg"), PathBuf::from);
    let results = Box::pin(measure()).await?;
    table::print(&results);
    std::fs::write(&file, plot::draw(&results))?;
    println!("\nChart written to {}", file.display());
    Ok(())
}

async fn measure() -> anyhow::Result<Results> {
    let (start, program, model, kinder) = tokio::try_join!(
        trials::start(200, ROUND_TRIP),
        Side::program(PEOPLE, ROUND_TRIP),
        Side::model(PEOPLE, ROUND_TRIP, Repeat::WithoutBody),
        Side::model(PEOPLE, ROUND_TRIP, Repeat::Whole),
    )?;
    let sides = [(By::Program, program), (By::Model, model), (By::Kinder, kinder)];
    let mut spread = vec![(By::Program, Vec::new()), (By::Model, Vec::new())];
    // The first operations open connections and request tokens.
    on_each(&sides, |side| trials::spread(side, 1)).await?;
    for recipients in [1, 10, 100, 1_000] {
        sleep(BETWEEN).await;
        // No call is rejected here, so both models behave the same.
        let rows = on_each(&sides[..2], |side| trials::spread(side, recipients)).await?;
        for ((_, rows), (_, row)) in spread.iter_mut().zip(rows) {
            rows.push(row);
        }
    }
    sleep(BETWEEN).await;
    let faults = on_each(&sides, |side| trials::faults(side, 500)).await?;
    sleep(BETWEEN).await;
    let burst = on_each(&sides, |side| trials::burst(side, 1_000)).await?;
    Ok(Results {
        start,
        spread,
        faults,
        burst,
    })
}

/// Runs the same trial on each side at the same time.
async fn on_each<'a, T, F>(sides: &'a [(By, Side)], trial: impl Fn(&'a Side) -> F) -> anyhow::Result<Vec<(By, T)>>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let trials = sides.iter().map(|(by, side)| {
        let trial = trial(side);
        async { anyhow::Ok((*by, trial.await?)) }
    });
    try_join_all(trials).await
}
