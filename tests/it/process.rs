//! The program itself, as a service manager and a user at a terminal see it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::go_plugin::announced_by_the_go_plugin;
use crate::support::{ALICE, BOB, Ended, Program, Running, Town, private_folder};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::{Fault, Rule};

const PATIENCE: Duration = Duration::from_secs(20);

/// A stop that waits for nothing takes less; the longest one takes 15 seconds.
const SECONDS: Duration = Duration::from_secs(8);

/// Runs the program to its end; returns its status, and what it wrote to stdout and stderr.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    Program::new(arguments).run().await
}

/// Starts the daemon with a town's configuration, and waits until it is ready.
async fn start(town: &Town, config: &str) -> Running {
    let file = town.folder.path().join("teleport-msteams.toml");
    std::fs::write(&file, config).unwrap();
    let running = Program::new(&["start", "--config", file.to_str().unwrap(), "-d"]).start();
    running.says("Plugin is ready").await;
    running
}

#[tokio::test]
async fn version_is_one_line_of_the_guides_form() {
    let (status, stdout, stderr) = run(&["version"]).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let mut words = stdout.trim_end().split(' ');
    assert_eq!(words.next(), Some("teleport-msteams"));
    assert_eq!(words.next(), Some(concat!("v", env!("CARGO_PKG_VERSION"))));
    assert!(
        stdout.trim_end().rsplit(' ').next().unwrap().starts_with("rustc1."),
        "{stdout}"
    );
    assert_eq!(stdout.lines().count(), 1);
}

#[tokio::test]
async fn a_wrong_command_line_or_configuration_has_its_own_status() {
    let (status, _, stderr) = run(&["begin"]).await;
    assert_eq!(status, Some(2));
    assert!(stderr.starts_with("ERROR: unrecognized subcommand 'begin'"), "{stderr}");
    let (status, _, stderr) = run(&["validate", "--al"]).await;
    assert_eq!(status, Some(2));
    assert!(stderr.starts_with("ERROR: ") && stderr.contains("  hint: "), "{stderr}");
    let (status, stdout, _) = run(&["--help"]).await;
    assert_eq!(status, Some(0));
    insta::assert_snapshot!("help", stdout);
    let (status, stdout, _) = run(&["help", "start"]).await;
    assert_eq!(status, Some(0));
    insta::assert_snapshot!("help_start", stdout);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "[teleport]\naddr = 5\n").unwrap();
    let (status, stdout, stderr) = run(&["start", "-c", file.to_str().unwrap()]).await;
    assert_eq!((status, stdout.as_str()), (Some(78), ""));
    let stderr = stderr.replace(folder.path().to_str().unwrap(), "/folder");
    insta::assert_snapshot!("wrong_configuration", stderr);
}

#[tokio::test]
async fn a_failed_start_is_one_error_and_one_hint() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    std::fs::write(&file, town.config().replace(&town.tenant.options().app_secret, "wrong")).unwrap();
    let (status, _, stderr) = run(&["start", "-c", file.to_str().unwrap()]).await;
    assert_eq!(status, Some(1));
    let last: Vec<_> = stderr.lines().rev().take(2).collect();
    assert!(last[1].starts_with("ERROR: could not get a token for"), "{stderr}");
    assert!(last[0].starts_with("hint: "), "{stderr}");
}

#[tokio::test]
async fn the_first_signal_finishes_deliveries_in_flight() {
    let town = Town::build().await;
    for name in ["TERM", "INT"] {
        let running = start(&town, &town.config()).await;
        running.signal(&format!("-{name}")).await;
        let (status, _, log) = running.ended().await;
        assert_eq!(status, Some(0), "{name}");
        assert!(log.contains(&format!("Signal received signal=SIG{name}")), "{log}");
    }

    let running = start(&town, &town.config()).await;
    running.signal("-HUP").await;
    town.tenant.faults(|faults| {
        faults.rules = vec![Rule::some(
            2,
            "POST",
            "/activities",
            Fault::Slow(std::time::Duration::from_millis(500)),
        )];
    });
    let id = town.cluster.create(Draft::default());
    town.cluster
        .until("the request is claimed", |state| state.plugin_data.contains_key(&id))
        .await;
    running.signal("-TERM").await;
    let (status, _, log) = running.ended().await;
    assert_eq!(status, Some(0));
    // Deliveries in flight were finished and recorded; the rest is left to the next start.
    let recorded = town
        .cluster
        .plugin_data(&id)
        .get("messages")
        .map_or(0, |messages| messages.split(',').count());
    assert_eq!(recorded, town.tenant.cards().len());
    assert!(log.contains("Configuration reloaded"), "{log}");
    assert!(log.contains("Successfully shut down"), "{log}");

    let running = start(&town, &town.config()).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    running.signal("-TERM").await;
    assert_eq!(running.status().await, Some(0));
    town.finish().await;
}

#[tokio::test]
async fn the_second_signal_ends_it_immediately() {
    let town = Town::build().await;
    let running = start(&town, &town.config()).await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/activities", Fault::Hang)]);
    town.cluster.create(Draft::default());
    let mut calls = town.tenant.changes();
    while !town
        .tenant
        .calls()
        .iter()
        .any(|call| call.path.ends_with("/activities"))
    {
        calls.changed().await.unwrap();
    }
    running.signal("-TERM").await;
    running.says("Attempting graceful shutdown").await;
    running.signal("-TERM").await;
    assert_eq!(running.status().await, Some(1));
}

#[tokio::test]
async fn with_fail_fast_a_broken_stream_ends_the_program() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    std::fs::write(&file, town.config()).unwrap();
    let program = Program::new(&["start", "-c", file.to_str().unwrap()]);
    let running = program.env("TELEPORT_PLUGIN_FAIL_FAST", "true").start();
    town.cluster.until("it watches", |state| state.watches() == 1).await;
    town.cluster.cut_streams();
    let (status, _, log) = running.ended().await;
    assert_eq!(status, Some(1));
    assert!(
        log.contains("ERROR: Connection problem detected. Exiting as fail fast is on"),
        "{log}"
    );
}

#[tokio::test]
async fn the_service_manager_is_notified_of_readiness_liveness_and_stopping() {
    let town = Town::build().await;
    let path = town.folder.path().join("notify");
    let manager = tokio::net::UnixDatagram::bind(&path).unwrap();
    let file = town.folder.path().join("teleport-msteams.toml");
    std::fs::write(&file, town.config()).unwrap();
    let running = Program::new(&["start", "--config", file.to_str().unwrap()])
        .env("NOTIFY_SOCKET", &path)
        .start();
    hears(&manager, "READY=1").await;
    hears(&manager, "WATCHDOG=1").await;
    town.cluster.stop().await;
    hears(&manager, "STATUS=Events of Teleport are not received").await;
    hears(&manager, "WATCHDOG=1").await;
    town.cluster.start_again().await;
    hears(&manager, "STATUS=Watching access requests").await;
    running.signal("-TERM").await;
    hears(&manager, "STOPPING=1").await;
    assert_eq!(running.status().await, Some(0));
}

#[tokio::test]
async fn a_log_file_that_was_moved_away_is_opened_again() {
    let town = Town::build().await;
    let path = |name: &str| town.folder.path().join(name);
    let manager = tokio::net::UnixDatagram::bind(path("notify")).unwrap();
    let config = format!("{}\n[log]\noutput = \"{}\"\n", town.config(), path("log").display());
    std::fs::write(path("config.toml"), config).unwrap();
    let running = Program::new(&["start", "--config", path("config.toml").to_str().unwrap()])
        .env("NOTIFY_SOCKET", path("notify"))
        .start();
    hears(&manager, "READY=1").await;
    std::fs::rename(path("log"), path("log.1")).unwrap();
    running.signal("-HUP").await;
    let opened = async {
        let said = || std::fs::read_to_string(path("log")).unwrap_or_default();
        while !said().contains("Configuration reloaded") {
            tokio::task::yield_now().await;
        }
    };
    let opened = tokio::time::timeout(std::time::Duration::from_secs(20), opened).await;
    assert!(opened.is_ok(), "the file was not opened again");
    running.signal("-TERM").await;
    assert_eq!(running.status().await, Some(0));
    let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert!(text("log.1").contains("Plugin is ready"), "{}", text("log.1"));
    assert!(text("log").contains("Successfully shut down"), "{}", text("log"));
    assert!(!text("log").contains("Plugin is ready"));
}

/// Returns the address of the diagnostics port from the log.
pub(crate) fn probes(log: &str) -> String {
    let line = log
        .lines()
        .find(|line| line.contains("Serving health checks and metrics"))
        .unwrap();
    line.split("address=").nth(1).unwrap().to_owned()
}

/// Waits until the manager receives this, and returns the whole message.
pub(crate) async fn hears(manager: &tokio::net::UnixDatagram, wanted: &str) -> String {
    let hearing = async {
        let mut message = [0; 512];
        loop {
            let length = manager.recv(&mut message).await.unwrap();
            let message = String::from_utf8_lossy(&message[..length]);
            if message.contains(wanted) {
                return message.into_owned();
            }
        }
    };
    let heard = tokio::time::timeout(std::time::Duration::from_secs(20), hearing).await;
    heard.unwrap_or_else(|_| panic!("the manager never heard {wanted}"))
}

#[tokio::test]
async fn rust_log_refines_what_d_logs_and_a_mistake_in_it_is_reported() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    std::fs::write(&file, town.config()).unwrap();
    let arguments = ["start", "-c", file.to_str().unwrap(), "-d"];
    let chosen = "teleport_msteams=warn, teleport_msteams::daemon::requests::resync=info";
    let running = Program::new(&arguments).env("RUST_LOG", chosen).start();
    running.says("Plugin is ready").await;
    running.signal("-TERM").await;
    let (status, _, log) = running.ended().await;
    assert_eq!(status, Some(0));
    assert!(!log.contains("DEBUG"), "{log}");
    assert!(start(&town, &town.config()).await.stderr().contains("DEBUG"));

    let wrong = Program::new(&arguments).env("RUST_LOG", "teleport_msteams=loud");
    let (status, _, stderr) = wrong.run().await;
    assert_eq!(status, Some(1));
    assert!(
        stderr.starts_with("ERROR: could not read \"teleport_msteams=loud\" in RUST_LOG"),
        "{stderr}"
    );
    // Without `-d`, the program ignores RUST_LOG.
    let quiet = Program::new(&arguments[..3])
        .env("RUST_LOG", "teleport_msteams=loud")
        .start();
    quiet.says("Plugin is ready").await;
    assert!(!quiet.stderr().contains("DEBUG"));
}

#[tokio::test]
async fn the_example_configuration_is_valid() {
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/teleport-msteams.toml");
    let text = std::fs::read_to_string(example).unwrap();
    let folder = private_folder();
    let file = folder.path().join("example.toml");
    // The secret file does not exist; every commented-out key is checked as well.
    let text = text.replace("/var/lib/teleport/plugins/msteams/app-secret", "secret");
    std::fs::write(&file, &text).unwrap();
    let loaded = teleport_msteams::config::load(&file, &|_| None).unwrap();
    assert_eq!(loaded.warnings, []);
    let all = text
        .replace("# cloud", "cloud")
        .replace("# format", "format")
        .replace("# region", "region");
    let all = all
        .replace("# [msapi.endpoints]", "[msapi.endpoints]")
        .replace("# login", "login");
    let all = all.replace("# graph", "graph").replace("# bot", "bot");
    std::fs::write(&file, &all).unwrap();
    let loaded = teleport_msteams::config::load(&file, &|_| None).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[tokio::test]
async fn a_secret_file_that_is_an_empty_pipe_delays_neither_cards_nor_the_stop() {
    let town = Town::build().await;
    let secret = town.folder.path().join("secret");
    let value = &town.tenant.options().app_secret;
    std::fs::write(&secret, value).unwrap();
    let config = town.config().replace(value.as_str(), secret.to_str().unwrap());
    let running = start(&town, &config).await;
    let pipe = town.folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    std::fs::rename(&pipe, &secret).unwrap();
    // Opening the other end succeeds once the daemon reads the pipe. Nothing is written there, so the read goes on.
    let mut holder = Command::new("sh")
        .args(["-c", "exec 3>\"$0\" && echo open && exec sleep 600"])
        .arg(&secret)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut opened = [0; 5];
    let reading = holder.stdout.as_mut().unwrap();
    let read = timeout(PATIENCE, reading.read_exact(&mut opened)).await;
    read.expect("the daemon reads the secret's file again").unwrap();
    town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    let begun = Instant::now();
    running.signal("-TERM").await;
    assert_eq!(running.status().await, Some(0));
    assert!(begun.elapsed() < SECONDS, "{:?}", begun.elapsed());
    town.finish().await;
}

#[tokio::test]
async fn a_signal_while_cards_of_the_go_plugin_are_looked_up_stops_it_within_seconds() {
    let mut town = Town::start().await;
    let id = announced_by_the_go_plugin(&mut town).await;
    let gate = town.tenant.hold("GET", "/users");
    let running = start(&town, &town.config()).await;
    town.cluster.review(&id, "carol", Verdict::Approve, "one of two");
    let held = Fault::Held(gate.clone());
    let mut changes = town.tenant.changes();
    let looked_up = async {
        while town.tenant.met(&held) == 0 {
            changes.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, looked_up).await.expect("recipients are looked up");
    let begun = Instant::now();
    running.signal("-TERM").await;
    let (status, _, log) = running.ended().await;
    assert_eq!(status, Some(0), "{log}");
    assert!(begun.elapsed() < SECONDS, "{:?}\n{log}", begun.elapsed());
    town.finish().await;
}
