//! Kills the real daemon repeatedly between a fake cluster and a fake tenant that fail at random, and finally counts the
//! cards that are missing, stale or duplicated, the other messages that are not what they should be, and the presses of
//! buttons that are not exactly one review.
//!
//! `cargo run --example chaos -- --seed 7` needs no account and no network. The same seed gives the same
//! script; the timing of the processes depends on the machine.

#![expect(clippy::print_stdout, reason = "the report goes to the terminal")]

mod company;
mod fault;
mod ledger;
mod messages;
mod notifications;
mod presses;
mod replica;
mod report;
mod run;
mod script;

use std::process::ExitCode;

use clap::Parser;

/// Kill the daemon, inject faults on both sides, and count lost, stale and duplicate cards
#[derive(Debug, Parser)]
#[command(name = "chaos", version)]
pub(crate) struct Args {
    /// Seed of the script; random if omitted
    #[arg(long)]
    seed: Option<u64>,
    /// Number of Access Requests
    #[arg(long, default_value_t = 500)]
    requests: usize,
    /// Duration of the faults, in minutes
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Number of daemons that run at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// Keep the logs of the daemons even if the run passes
    #[arg(long)]
    keep_logs: bool,
}

fn main() -> ExitCode {
    // The daemons are this binary too, so that they are built from the same sources: `start` is the real command.
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
