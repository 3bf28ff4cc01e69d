//! A fake Teleport cluster, a fake Microsoft tenant, the real daemon between them, and a web page that shows all three.
//!
//! `cargo run --example sandbox` needs no account and no network. The tests use the same fakes.

#![expect(
    unreachable_pub,
    reason = "a program has no outside: `pub` means for the other files"
)]

mod action;
mod assets;
mod company;
mod daemon_host;
mod files;
mod guard;
mod ledger;
mod log_lines;
mod narrator;
mod sandbox;
mod server;
mod story;
mod view;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use clap::ValueEnum;

use crate::files::Pace;
use crate::log_lines::LogLines;
use crate::sandbox::Sandbox;

/// Run the daemon between a fake Teleport cluster and a fake Microsoft Teams
#[derive(Debug, Parser)]
#[command(name = "sandbox")]
struct Options {
    /// Play a story on the terminal instead of serving the page
    #[arg(long, value_name = "NAME")]
    scenario: Option<Scenario>,
    /// Port of the page; another free port if it is in use
    #[arg(long, default_value_t = 8765)]
    port: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scenario {
    /// Requests with and without faults; succeeds if all cards are up to date at the end
    Demo,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let log = LogLines::start()?;
    let pace = if options.scenario.is_some() {
        Pace::Late
    } else {
        Pace::Quick
    };
    let sandbox = Sandbox::start(log.clone(), pace).await?;
    sandbox.daemon.start()?;
    match options.scenario {
        Some(Scenario::Demo) => {
            let played = story::play(sandbox).await;
            if played.is_err() {
                print_log(&log);
            }
            played
        }
        None => show(sandbox, options.port).await,
    }
}

/// Serves the page until Ctrl-C.
async fn show(sandbox: Sandbox, port: u16) -> anyhow::Result<()> {
    let listener = server::bind(port).await?;
    let address = listener
        .local_addr()
        .context("could not read the address of the page")?;
    greet(&sandbox, &format!("http://{address}"));
    sandbox.welcome().await?;
    tokio::select! {
        served = server::serve(listener, sandbox.clone()) => served?,
        supervised = sandbox.daemon.supervise() => supervised?,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("could not wait for Ctrl-C")?,
    }
    sandbox.daemon.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the user needs the address of the page")]
fn greet(sandbox: &Sandbox, page: &str) {
    println!("Teleport    {} (fake)", sandbox.cluster.address());
    println!("Microsoft   {} (fake)", sandbox.tenant.graph());
    println!("Files       {}", sandbox.folder().display());
    println!("\nOpen {page} in a browser. Press Ctrl-C to stop.");
}

#[expect(clippy::print_stderr, reason = "the log explains a failed story")]
fn print_log(log: &LogLines) {
    eprintln!("\nThe last lines of the daemon's log:");
    for line in log.since(0).0 {
        eprintln!("{}", line.text);
    }
}

#[expect(clippy::print_stderr, reason = "errors go to the terminal")]
fn report(error: &anyhow::Error) {
    eprintln!("ERROR: {error:#}");
}
