//! Output to a closed pipe or a full disk.

use std::fs::{self, OpenOptions};

use crate::process::run;
use crate::support::{ALICE, Program, Town};
use crate::world::cluster::Draft;

/// Every command line that prints something and ends with 0, as it is typed.
fn commands(town: &Town) -> Vec<Vec<String>> {
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, town.config()).unwrap();
    let config = file.to_str().unwrap();
    let here = |path: &str| format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let (rules, request) = (here("examples/rules/rules.yaml"), here("examples/rules/request.json"));
    let lines = [
        "version",
        "--version",
        "-V",
        "--help",
        "help start",
        "man",
        "completions bash",
        "rules check RULES",
        "rules test RULES --request REQUEST",
        "rules test RULES --request REQUEST --json",
        "validate --all --offline -c CONFIG",
        "validate --all --offline --json -c CONFIG",
        "validate ALICE -c CONFIG",
        "explain REQUEST_ID -c CONFIG",
        "uninstall --dry-run -c CONFIG",
        "uninstall -c CONFIG",
    ];
    let id = town.cluster.create(Draft::default());
    let word = |word: &str| match word {
        "REQUEST_ID" => id.clone(),
        "RULES" => rules.clone(),
        "REQUEST" => request.clone(),
        "CONFIG" => config.to_owned(),
        "ALICE" => ALICE.to_owned(),
        word => word.to_owned(),
    };
    lines.iter().map(|line| line.split(' ').map(word).collect()).collect()
}

#[tokio::test]
async fn a_closed_pipe_ends_every_command_quietly() {
    let town = Town::build().await;
    for command in commands(&town) {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (status, _, stderr) = Program::new(&arguments).stdout_to(writer).run().await;
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_in_one_line_and_by_the_exit_status() {
    let town = Town::build().await;
    for command in commands(&town) {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (status, _, stderr) = Program::new(&arguments).stdout_to(full).run().await;
        assert_eq!(status, Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.starts_with("ERROR: could not write to stdout: No space left on device"),
            "{arguments:?}: {stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[tokio::test]
async fn a_failure_without_a_reader_keeps_its_status() {
    for (arguments, expected) in [
        (&["begin"][..], Some(2)),
        (&["rules", "check", "/no/such/file"], Some(1)),
        (&["start", "-c", "/no/such/file"], Some(78)),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let program = Program::new(arguments).stdout_to(writer).stderr_to(full);
        assert_eq!(program.run().await.0, expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn every_way_to_ask_for_the_version_prints_the_same_line() {
    let (status, line, _) = run(&["version"]).await;
    assert_eq!(status, Some(0));
    for flag in ["--version", "-V"] {
        assert_eq!(run(&[flag]).await, (Some(0), line.clone(), String::new()), "{flag}");
    }
}

#[tokio::test]
async fn control_characters_of_files_do_not_reach_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd");
    let odd = "\u{1b}[31m\u{9b}2J\u{7}\u{202e}";
    let in_toml = r"\u001b[31m\u009b2J\u0007\u202e";
    for (arguments, text) in [
        (&["start", "-c"][..], format!("[teleport]\naddr = {odd}\n")),
        (&["start", "-c"], format!("[teleport]\n\"{in_toml}\" = 1\n")),
        (
            &["validate", "--all", "--offline", "-c"],
            format!("[log]\nseverity = \"{in_toml}\"\n"),
        ),
        (
            &["rules", "check"],
            format!("kind: access_monitoring_rule\nmetadata:\n\tname: {odd}\n"),
        ),
        (&["rules", "check"], format!("kind: \"{odd}\"\n")),
    ] {
        fs::write(&file, text).unwrap();
        let (status, stdout, stderr) = run(&[arguments, &[file.to_str().unwrap()]].concat()).await;
        assert_ne!(status, Some(0));
        for letter in odd.chars().filter(|letter| !letter.is_ascii_graphic()) {
            assert!(
                !stdout.contains(letter) && !stderr.contains(letter),
                "{arguments:?}: {stdout:?}{stderr:?}"
            );
        }
    }
}
