//! Sends heartbeats to the service manager while every loop is responsive.
//!
//! A daemon that looks healthy and does nothing is worse than a restart: one unresponsive loop stops the heartbeats.

use std::convert::Infallible;

use tokio::time::sleep;
use tracing::{error, info};

use crate::telemetry;
use crate::telemetry::{Health, systemd};

pub(in crate::daemon) async fn run(health: Health) -> Infallible {
    let mut reported: Vec<&str> = Vec::new();
    loop {
        let silent = health.unresponsive();
        let names: Vec<_> = silent.iter().map(|(name, _)| *name).collect();
        if names.is_empty() {
            if !reported.is_empty() {
                info!("All loops are responsive again");
                systemd::status("All loops are responsive again");
            }
            systemd::alive();
        } else if names != reported {
            let unresponsive: Vec<_> = silent
                .iter()
                .map(|(name, silence)| telemetry::unresponsive(name, *silence))
                .collect();
            let unresponsive = unresponsive.join(", ");
            error!(
                unresponsive,
                hint = hint!(
                    "Restart the program and report this; a service manager with a watchdog restarts it by itself"
                ),
                "Loops are unresponsive"
            );
            systemd::status(&format!("Unresponsive: {unresponsive}"));
        }
        reported = names;
        sleep(health.beat_interval()).await;
    }
}
