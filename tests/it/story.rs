//! The log of a whole story, in both formats.

use std::fs;

use regex::Regex;
use serde_json::Value;

use crate::support::{ALICE, BOB, Program, Running, Town};
use crate::world::cluster::{Draft, Verdict};
use crate::world::tenant::{Fault, Rule};

/// Starts the program as a service manager does, with the default log.
fn start(town: &Town, format: &str) -> Running {
    let file = town.folder.path().join("teleport-msteams.toml");
    let config = format!(
        "preload = false\n{}\n[log]\noutput = \"stderr\"\nseverity = \"INFO\"\nformat = \"{format}\"\n",
        town.config()
    );
    fs::write(&file, config).unwrap();
    Program::new(&["start", "--config", file.to_str().unwrap()]).start()
}

/// Runs the program through the events of a night.
async fn story(format: &str) -> String {
    let town = Town::build().await;
    let reader = start(&town, format);
    reader.says("Plugin is ready").await;

    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    reader.says("announced").await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "known");
    town.reads(ALICE, "known").await;
    town.reads(BOB, "known").await;
    reader.says("Cards updated").await;
    town.settled(&id).await;
    town.cluster.review(&id, "bob", Verdict::Approve, "fine");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    reader.says("APPROVED").await;

    town.stop_teleport().await;
    reader.says("Connection problem detected").await;
    town.cluster.start_again().await;
    reader.says("Watcher connected").await;

    let busy = Rule::some(1, "POST", "/activities", Fault::Status(429, Some(1)));
    town.tenant.faults(|faults| faults.rules = vec![busy]);
    town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    reader.says_times(2, "announced").await;
    reader.signal("-TERM").await;
    let (status, stdout, log) = reader.ended().await;
    assert_eq!((status, stdout.as_str()), (Some(0), ""));
    log
}

/// Masks what differs between runs: times, ids, ports, and which of the two sides answers first at the start.
fn masked(log: &str) -> String {
    let masks = [
        // What breaks first when a server goes is up to the system.
        ("(could not watch access requests: ).+?( retry_in|\")", "$1<why>$2"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "<uuid>",
        ),
        (r"127\.0\.0\.1:\d+", "<address>"),
        (r"\b[\d.]+ms\b", "<pause>"),
        (r#"/[^" ]*/[a-z-]+\.toml"#, "<file>"),
        (r"\bv[\d.]+( git:\S+)? rustc[\d.]+", "<build>"),
        (env!("CARGO_PKG_VERSION"), "<version>"),
    ];
    let mut log = log.to_owned();
    for (pattern, mask) in masks {
        log = Regex::new(pattern).unwrap().replace_all(&log, mask).into_owned();
    }
    let (start, rest) = log.split_once("Plugin is ready").unwrap();
    let mut start: Vec<_> = start.lines().collect();
    // The last one is the beginning of the line that was cut.
    let both = start.len() - 3..start.len() - 1;
    start[both].sort_unstable();
    format!("{}Plugin is ready{rest}", start.join("\n"))
}

#[tokio::test]
async fn the_text_log_of_one_night() {
    let log = story("text").await;
    insta::assert_snapshot!("story_text", masked(&log));
}

#[tokio::test]
async fn the_json_log_of_the_same_night() {
    let log = story("json").await;
    for line in log.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        let object = object.as_object().unwrap();
        for name in ["timestamp", "level", "message"] {
            assert!(object.get(name).is_some_and(Value::is_string), "no {name} in {line}");
        }
        let flat = object.values().all(|value| !value.is_object() && !value.is_array());
        assert!(flat, "something inside something: {line}");
    }
    insta::assert_snapshot!("story_json", masked(&log));
}
