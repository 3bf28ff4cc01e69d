//! Gives signs of life to the service manager, for as long as every loop turns.
//!
//! A daemon that looks healthy and does nothing is worse than one that is restarted: one loop that is stuck ends the signs.

use std::convert::Infallible;

use tokio::time::sleep;
use tracing::{error, info};

use crate::telemetry::{Health, silent, systemd};

pub(in crate::daemon) async fn run(health: Health) -> Infallible {
    let mut reported: Vec<&str> = Vec::new();
    loop {
        let stuck = health.stuck();
        let names: Vec<_> = stuck.iter().map(|(name, _)| *name).collect();
        if names.is_empty() {
            if !reported.is_empty() {
                info!("All loops turn again");
                systemd::status("Working again after a loop was stuck");
            }
            systemd::alive();
        } else if names != reported {
            let stuck: Vec<_> = stuck.iter().map(|(name, silence)| silent(name, *silence)).collect();
            let stuck = stuck.join(", ");
            error!(
                stuck,
                hint = "a service manager with a watchdog restarts the program; please report this",
                "The program is stuck"
            );
            systemd::status(&format!("Stuck: {stuck}"));
        }
        reported = names;
        sleep(health.beat_interval()).await;
    }
}
