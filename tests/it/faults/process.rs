//! The program itself, when the machine runs out of disk space or file descriptors, or its clock jumps.

#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::health::ask;
use crate::process::{hears, probes};
use crate::support::{ALICE, BOB, Program, Running, Town};
use crate::world::cluster::{Draft, Moment, Verdict};
use crate::world::tenant::{Fault, Rule};

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

const EVE: &str = "eve@example.com";

/// Starts the program with the town's usual configuration and waits until it is ready.
async fn start(town: &Town) -> Running {
    start_with(town, &town.config(), |program| program).await
}

async fn start_with(town: &Town, config: &str, change: impl FnOnce(Program) -> Program) -> Running {
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, config).unwrap();
    let program = Program::new(&["start", "--config", file.to_str().unwrap(), "-d"]);
    let running = change(program).start();
    running.says("Plugin is ready").await;
    running
}

async fn stop(program: Running) {
    program.signal("-TERM").await;
    assert_eq!(program.status().await, Some(0));
}

async fn kill(program: Running) {
    program.signal("-KILL").await;
    assert_eq!(program.status().await, None);
}

/// Limits the program's open files and sockets from now on; `false` if this machine has no tool for that.
async fn limit_files(program: &Running, most: u32) -> bool {
    let limit = format!("--nofile={most}:");
    let status = Command::new("prlimit")
        .args(["--pid", &program.id(), &limit])
        .status()
        .await;
    status.is_ok_and(|status| status.success())
}

/// Waits until the program's log is this many hours ahead.
async fn is_ahead_by(program: &Running, hours: i32) {
    let ahead = |log: &str| {
        let last = log.lines().last()?.split(' ').next()?.parse::<jiff::Timestamp>().ok()?;
        Some((last.as_second() - teleport_msteams::clock::now().as_second() + 1_800).div_euclid(3_600))
    };
    let what = format!("a clock that is {hours} hours ahead");
    program.until(&what, |log| ahead(log) == Some(hours.into())).await;
}

#[tokio::test]
async fn killed_for_real_before_the_claim_it_announces_at_the_next_start() {
    let town = Town::build().await;
    let program = start(&town).await;
    let claim = town.cluster.hold("UpdatePluginData", Moment::Before, 0);
    let id = town.cluster.create(Draft::default());
    claim.reached(1).await;
    kill(program).await;
    assert!(town.cluster.plugin_data(&id).is_empty());
    town.cluster.faults(|faults| faults.gates.clear());
    let program = start(&town).await;
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    kill(program).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    let program = start(&town).await;
    town.both_see(&["APPROVED"]).await;
    stop(program).await;
    town.finish().await;
}

#[tokio::test]
async fn stopped_in_a_burst_it_records_deliveries_in_flight_and_leaves_the_rest_to_the_next_start() {
    let town = Town::build().await;
    let recipients = format!("\"*\" = \"{ALICE}\"\nb = \"{BOB}\"\nc = \"{EVE}\"");
    let config = town.config_for(&recipients);
    let program = start_with(&town, &config, |program| program).await;
    let posts = town.tenant.hold("POST", "/activities");
    for role in ["a", "b", "c"].repeat(4) {
        town.cluster.create(Draft {
            roles: vec![role.to_owned()],
            ..Draft::default()
        });
    }
    posts.reached(3).await;
    program.signal("-TERM").await;
    program.says("Attempting graceful shutdown").await;
    posts.open();
    assert_eq!(program.status().await, Some(0));
    let begun = posts.arrived();
    assert!(begun < 12, "the burst was over already");
    assert_eq!(town.tenant.messages(), begun);
    let recorded = town
        .cluster
        .state()
        .plugin_data
        .values()
        .filter(|data| data["msteams"].contains_key("messages"))
        .count();
    assert_eq!(recorded, begun);
    town.tenant.faults(|faults| faults.rules.clear());
    let program = start_with(&town, &config, |program| program).await;
    for who in [ALICE, BOB, EVE] {
        town.sees(who, &["PENDING"; 4]).await;
    }
    stop(program).await;
    town.finish().await;
}

#[tokio::test]
async fn without_free_file_descriptors_it_waits_for_some() {
    let town = Town::build().await;
    let mut program = start(&town).await;
    if !limit_files(&program, 3).await {
        println!("skipped: there is no prlimit here");
        return;
    }
    // The connection breaks, and there is no socket for another one.
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::some(2, "GET", "/users", Fault::ResetBefore)]);
    town.cluster.create(Draft::default());
    program.says("no connection").await;
    assert!(town.tenant.met(&Fault::ResetBefore) > 0);
    town.cluster.stop().await;
    town.cluster.start_again().await;
    program.says("Too many open files").await;
    town.cluster.create(Draft::default());
    assert!(!program.has_ended());
    assert!(limit_files(&program, 1_024).await);
    town.both_see(&["PENDING", "PENDING"]).await;
    stop(program).await;
    town.finish().await;
}

#[tokio::test]
async fn with_too_few_file_descriptors_at_the_start_it_exits_with_one_error_before_any_call() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, town.config()).unwrap();
    for most in [4, 6, 8, 10, 12, 16, 24, 32] {
        let program = Program::with_open_files(most, &["start", "--config", file.to_str().unwrap()]);
        let (status, _, text) = program.run().await;
        assert_eq!(status, Some(1), "{most}: {text}");
        assert!(
            text.starts_with("ERROR: could not open enough files and sockets: "),
            "{most}: {text}"
        );
        assert!(text.contains("LimitNOFILE="), "{most}: {text}");
        assert_eq!(text.lines().count(), 1, "{most}: {text}");
    }
    assert!(town.cluster.calls().is_empty());
}

/// Starts the program with its log there, or on stderr, and waits until it notifies its service manager.
async fn start_with_log(town: &Town, log: Option<&Path>, change: impl FnOnce(Program) -> Program) -> Running {
    let path = town.folder.path().join("notify");
    let manager = tokio::net::UnixDatagram::bind(&path).unwrap();
    let file = town.folder.path().join("teleport-msteams.toml");
    let output = log.map(|log| format!("output = \"{}\"", log.display()));
    let config = format!(
        "diag_addr = \":0\"\n{}\n[log]\n{}\n",
        town.config(),
        output.unwrap_or_default()
    );
    fs::write(&file, config).unwrap();
    let program = Program::new(&["start", "--config", file.to_str().unwrap(), "-d"]);
    let running = change(program.env("NOTIFY_SOCKET", &path)).start();
    hears(&manager, "READY=1").await;
    running
}

/// Announces and approves a request while nothing can be logged.
async fn works(town: &Town, child: Running) {
    let id = town.cluster.create(Draft::default());
    town.both_see(&["PENDING"]).await;
    town.cluster.cut_streams();
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.both_see(&["APPROVED"]).await;
    town.settled(&id).await;
    stop(child).await;
}

/// Returns how many lines the program reports as lost.
async fn dropped_lines(address: &str) -> u64 {
    let (_, text) = ask(address, "GET", "/metrics").await;
    let name = "teleport_msteams_log_lines_dropped_total ";
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.parse().unwrap()
}

fn with_full_stderr(program: Program) -> Program {
    program.stderr_to(fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
}

#[tokio::test]
async fn a_full_disk_under_the_log_file_stops_nothing() {
    let town = Town::build().await;
    let child = start_with_log(&town, Some(Path::new("/dev/full")), |program| program).await;
    works(&town, child).await;
    town.finish().await;
}

#[tokio::test]
async fn a_full_disk_under_the_log_file_and_stderr_stops_nothing() {
    let town = Town::build().await;
    let child = start_with_log(&town, Some(Path::new("/dev/full")), with_full_stderr).await;
    works(&town, child).await;
    town.finish().await;
}

#[tokio::test]
async fn a_full_disk_under_stderr_stops_nothing() {
    let town = Town::build().await;
    let child = start_with_log(&town, None, with_full_stderr).await;
    works(&town, child).await;
    town.finish().await;
}

#[tokio::test]
async fn a_reader_of_the_log_that_stopped_reading_stops_nothing() {
    let town = Town::build().await;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let log = writer.try_clone().unwrap();
    // Fills the pipe, and blocks until its other end is closed.
    let filler = std::thread::spawn(move || while writer.write_all(&[b'x'; 512]).is_ok() {});
    let child = start_with_log(&town, None, |program| {
        program.stderr_to(std::os::fd::OwnedFd::from(log).into())
    })
    .await;
    works(&town, child).await;
    assert!(!filler.is_finished(), "there was room for the log");
    drop(reader);
    filler.join().unwrap();
    town.finish().await;
}

#[tokio::test]
async fn a_disk_that_was_full_for_a_while_costs_only_the_lines_of_that_while() {
    let town = Town::build().await;
    let disk = town.folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk.to_str().unwrap()])
        .stderr(Stdio::null())
        .status()
        .await;
    if !mount.is_ok_and(|status| status.success()) {
        println!("skipped: no permission to mount a small disk");
        return;
    }
    let log = disk.join("log");
    let child = start_with_log(&town, Some(&log), |program| program).await;
    let text = || fs::read_to_string(&log).unwrap();
    let filled = fs::write(disk.join("rest"), vec![0; 128 << 10]);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    // The last page of the log itself has room for some lines.
    let address = probes(&text());
    let mut words = Vec::new();
    while dropped_lines(&address).await == 0 {
        let id = town.cluster.create(Draft::default());
        words.push("PENDING");
        town.both_see(&words).await;
        town.settled(&id).await;
    }
    let before = text().len();
    fs::remove_file(disk.join("rest")).unwrap();
    town.cluster.cut_streams();
    let written = async {
        while !(text()[before..].contains("Watcher connected") && text()[before..].contains("Log lines were dropped")) {
            tokio::task::yield_now().await;
        }
    };
    let written = timeout(PATIENCE, written).await;
    kill(child).await;
    let unmounted = Command::new("umount")
        .args(["-l", disk.to_str().unwrap()])
        .status()
        .await
        .unwrap();
    assert!(written.is_ok() && unmounted.success());
    town.finish().await;
}

/// Finds the library that changes a program's time of day, where Debian installs it.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|library| library.exists())
}

#[tokio::test]
async fn a_clock_that_jumps_an_hour_either_way_changes_nothing() {
    let Some(library) = faketime() else {
        println!("skipped: there is no libfaketime here");
        return;
    };
    let town = Town::build().await;
    let clock = town.folder.path().join("clock");
    let jump = |to: &str| {
        // A rename is atomic, so half a file is never read.
        let new = town.folder.path().join("clock.new");
        fs::write(&new, to).unwrap();
        fs::rename(&new, &clock).unwrap();
    };
    jump("+0");
    let program = start_with(&town, &town.config(), |program| {
        let program = program.env("LD_PRELOAD", &library);
        let program = program
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1");
        // Newer and older versions of the library.
        program
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    })
    .await;
    let mut words = Vec::new();
    for hours in [1, -1, 0] {
        jump(&format!("{hours:+}h"));
        town.cluster.cut_streams();
        let id = town.cluster.create(Draft::default());
        words.push("PENDING");
        town.both_see(&words).await;
        town.settled(&id).await;
        is_ahead_by(&program, hours).await;
        town.cluster.review(&id, "alice", Verdict::Approve, "ok");
        *words.last_mut().unwrap() = "APPROVED";
        town.both_see(&words).await;
    }
    stop(program).await;
    town.finish().await;
}
