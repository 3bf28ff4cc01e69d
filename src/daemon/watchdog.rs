//! Gives signs of life to the service manager, for as long as every loop turns.
//!
//! A daemon that looks healthy and does nothing is worse than one that is restarted: one loop that is stuck ends the signs.

use std::convert::Infallible;

use tokio::time::sleep;
use tracing::{error, info};

use crate::telemetry::{Health, systemd};

pub(super) async fn watch_over(health: Health) -> Infallible {
    let mut told = false;
    loop {
        match health.stuck() {
            None => {
                if told {
                    info!("All loops turn again");
                    systemd::status("Working again after a loop was stuck");
                }
                systemd::alive();
                told = false;
            }
            Some(stuck) => {
                let stuck = stuck.trim_end().replace('\n', ", ");
                if !told {
                    error!(
                        stuck,
                        hint = "a service manager with a watchdog restarts the program; please report this",
                        "The program is stuck"
                    );
                    systemd::status(&format!("Stuck: {stuck}"));
                }
                told = true;
            }
        }
        sleep(health.signs_every()).await;
    }
}
