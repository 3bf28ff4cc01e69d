//! The log file, and untrusted text in the log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tokio::net::UnixDatagram;

use crate::process::{hears, run};
use crate::support::{ALICE, Program, Town};
use crate::world::cluster::{Draft, rule};

/// Runs the program with this `[log]` until it has announced a request, and ends it as a manager does.
async fn announce_with(town: &Town, log: &str) {
    let path = |name: &str| town.folder.path().join(name);
    let manager = UnixDatagram::bind(path("notify")).unwrap();
    fs::write(path("config.toml"), format!("{}\n[log]\n{log}\n", town.config())).unwrap();
    let running = Program::new(&["start", "-d", "--config", path("config.toml").to_str().unwrap()])
        .env("NOTIFY_SOCKET", path("notify"))
        .start();
    hears(&manager, "READY=1").await;
    let id = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    running.signal("-TERM").await;
    assert_eq!(running.status().await, Some(0));
    fs::remove_file(path("notify")).unwrap();
}

/// Forges a line, colours a terminal, and reverses text.
const HOSTILE: &str = "night\r\n2026-01-01T00:00:00.000000Z ERROR forged\u{1b}[31m\u{7}\u{9b}31m\u{202e}x";

fn is_harmless(line: &str) -> bool {
    !line.contains(|letter: char| letter.is_control() || letter == '\u{202e}')
}

#[tokio::test]
async fn the_name_of_a_rule_forges_no_line_and_reaches_no_terminal_in_either_format() {
    for format in ["text", "json"] {
        let town = Town::build().await;
        town.cluster.put_rule(rule(HOSTILE, "true &&", &[ALICE]));
        let file = town.folder.path().join("log");
        announce_with(&town, &format!("output = {file:?}\nformat = \"{format}\"")).await;
        let log = fs::read_to_string(&file).unwrap();
        assert!(log.contains("forged"), "{log}");
        for line in log.lines() {
            assert!(is_harmless(line), "{line:?}");
            assert!(!line.starts_with("2026-01-01"), "{line:?}");
            if format == "json" {
                assert!(line.parse::<Value>().unwrap().is_object(), "{line}");
            }
        }
        town.finish().await;
    }
}

#[tokio::test]
async fn text_from_outside_in_the_last_error_stays_on_its_line() {
    let town = Town::build().await;
    let identity = "identity = \"no\\r\\nhint: run this\\u001b[31mforged\"";
    let config: Vec<_> = town
        .config()
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("identity =") {
                identity
            } else {
                line
            }
            .to_owned()
        })
        .collect();
    let file = town.folder.path().join("config.toml");
    fs::write(&file, config.join("\n")).unwrap();
    let (status, _, stderr) = run(&["start", "--config", file.to_str().unwrap()]).await;
    assert_eq!(status, Some(1));
    assert!(stderr.contains("forged"), "{stderr}");
    assert!(stderr.lines().all(is_harmless), "{stderr:?}");
    assert!(
        !stderr.lines().any(|line| line.starts_with("hint: run this")),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_new_log_file_can_be_read_by_its_owner_and_group_alone() {
    let town = Town::build().await;
    let file = town.folder.path().join("log");
    announce_with(&town, &format!("output = {file:?}")).await;
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    assert_eq!(mode & 0o600, 0o600, "{mode:o}");
    // Everything was written before the program ended.
    let log = fs::read_to_string(&file).unwrap();
    assert!(log.ends_with("Successfully shut down\n"), "{log}");
    town.finish().await;
}

#[tokio::test]
async fn an_output_that_cannot_be_opened_is_explained_with_a_hint() {
    let town = Town::build().await;
    let file = town.folder.path().join("config.toml");
    for (output, hint) in [
        (town.folder.path().join("none/log"), "hint: Create the directory "),
        (
            town.folder.path().to_owned(),
            "hint: Set `[log] output` to the path of a file",
        ),
    ] {
        fs::write(&file, format!("{}\n[log]\noutput = {output:?}\n", town.config())).unwrap();
        let (status, _, stderr) = run(&["start", "--config", file.to_str().unwrap()]).await;
        assert_eq!(status, Some(1));
        let lines: Vec<_> = stderr.lines().collect();
        let error = format!("ERROR: could not open the log file {}: ", output.display());
        assert!(lines[0].starts_with(&error), "{stderr}");
        assert!(lines[1].starts_with(hint), "{stderr}");
        assert_eq!(lines.len(), 2, "{stderr}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    fs::write(&file, format!("diag_addr = \"{address}\"\n{}", town.config())).unwrap();
    let (status, _, stderr) = run(&["start", "--config", file.to_str().unwrap()]).await;
    assert_eq!(status, Some(1));
    assert!(
        stderr.contains(&format!("ERROR: could not open the port {address} of diag_addr: ")),
        "{stderr}"
    );
    let hint = format!(
        "hint: Set `diag_addr` to a free port, or stop the program that listens on {} ",
        address.port()
    );
    assert!(stderr.lines().any(|line| line.starts_with(&hint)), "{stderr}");
}

#[tokio::test]
async fn a_named_pipe_without_a_reader_delays_nothing() {
    let town = Town::build().await;
    let pipe = town.folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    announce_with(&town, &format!("output = {pipe:?}")).await;
    town.finish().await;
}
