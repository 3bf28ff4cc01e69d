//! The real daemon, killed again and again between a pretend cluster and a pretend tenant that fail at random, and at the
//! end the count of what people see.
//!
//! `cargo run --example chaos -- --seed 7` needs no account and no network. The same seed makes the same
//! script; what the processes make of it depends on the machine.

#![expect(clippy::print_stdout, reason = "the report is for the person who asked for it")]

mod company;
mod ledger;
mod replica;
mod report;
mod run;
mod script;
mod trouble;

use std::process::ExitCode;

use clap::Parser;

/// Kills the daemon, cuts both sides off, and counts what was lost, what is stale, and who was told twice.
#[derive(Debug, Parser)]
#[command(name = "chaos", version)]
pub(crate) struct Args {
    /// The same seed makes the same script; one is chosen if there is none.
    #[arg(long)]
    seed: Option<u64>,
    /// How many access requests are made.
    #[arg(long, default_value_t = 500)]
    requests: usize,
    /// How long things go wrong.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// How many daemons run side by side.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// Keep what the daemons logged, even if all is well.
    #[arg(long)]
    keep_logs: bool,
}

fn main() -> ExitCode {
    // The daemons are this program too, so that they are built from the same sources: `start` is the real command.
    if std::env::args().nth(1).as_deref() == Some("start") {
        return teleport_msteams::cli::run();
    }
    let args = Args::parse();
    match run::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("ERROR: {error:#}");
            ExitCode::FAILURE
        }
    }
}
