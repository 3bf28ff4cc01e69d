//! An unresponsive loop is detected. Only debug builds contain the fault, so only they contain these tests.

use std::fs;
use std::time::Duration;

use tokio::net::UnixDatagram;

use crate::health::until;
use crate::process::{hears, probes};
use crate::support::{ALICE, BOB, Program, Town};
use crate::world::cluster::Draft;

/// Every loop that must be responsive.
const LOOPS: [&str; 10] = [
    "dispatcher",
    "watch",
    "resync",
    "graph-token",
    "bot-token",
    "credentials",
    "app-credential",
    "recovery",
    "reload",
    "digests",
];

/// Reads how long a loop has been silent.
fn seconds(body: &str, name: &str) -> Option<u64> {
    let line = format!("loop {name} is unresponsive for ");
    let rest = body.lines().find_map(|found| found.strip_prefix(&line))?;
    rest.strip_suffix(" s")?.parse().ok()
}

/// Expects that the manager receives no watchdog message before all loops are responsive again.
async fn no_watchdog_message_until_all_loops_run_again(manager: &UnixDatagram) {
    let mut message = [0; 512];
    loop {
        let received = tokio::time::timeout(Duration::from_secs(20), manager.recv(&mut message)).await;
        let length = received.expect("the manager hears nothing any more").unwrap();
        let message = String::from_utf8_lossy(&message[..length]);
        if message.contains("STATUS=All loops are responsive again") {
            return;
        }
        assert!(!message.contains("WATCHDOG=1"), "{message}");
    }
}

#[tokio::test]
async fn any_unresponsive_loop_stops_the_watchdog_messages_and_is_named() {
    let town = Town::build().await;
    let path = |name: &str| town.folder.path().join(name);
    let manager = UnixDatagram::bind(path("notify")).unwrap();
    let config = format!(
        "diag_addr = \":0\"\n{}\n[log]\noutput = {:?}\n",
        town.config(),
        path("log")
    );
    fs::write(path("config.toml"), config).unwrap();
    let running = Program::new(&["start", "--config", path("config.toml").to_str().unwrap()])
        .env("NOTIFY_SOCKET", path("notify"))
        .env("WATCHDOG_USEC", "2000000")
        .env("TELEPORT_MSTEAMS_HANG", path("hang"))
        .start();
    hears(&manager, "READY=1").await;
    let address = probes(&fs::read_to_string(path("log")).unwrap());
    for name in LOOPS {
        hears(&manager, "WATCHDOG=1").await;
        fs::write(path("hang"), name).unwrap();
        hears(&manager, &format!("loop {name} is unresponsive")).await;
        // A second later, and so several signs later, there was none.
        until(&address, "/livez", |status, body| {
            status == 503 && seconds(body, name).is_some_and(|silent| silent >= 2)
        })
        .await;
        fs::remove_file(path("hang")).unwrap();
        no_watchdog_message_until_all_loops_run_again(&manager).await;
        until(&address, "/livez", |status, _| status == 200).await;
    }
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    running.signal("-TERM").await;
    assert_eq!(running.status().await, Some(0));
    let log = fs::read_to_string(path("log")).unwrap();
    for name in LOOPS {
        assert!(log.contains(&format!("loop {name} is unresponsive")), "{log}");
    }
    town.finish().await;
}
