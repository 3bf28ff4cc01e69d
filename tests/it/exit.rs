//! How the daemon ends after an error: in the log and on stderr.

use std::fs;

use serde_json::Value;

use crate::support::{Program, Running, Town};

/// Starts the daemon with a secret that Microsoft rejects, and with these lines at the end of its configuration.
fn start(town: &Town, more: &str) -> Running {
    let file = town.folder.path().join("teleport-msteams.toml");
    let wrong = town.config().replace(&town.tenant.options().app_secret, "wrong");
    fs::write(&file, format!("{wrong}\n{more}\n")).unwrap();
    Program::new(&["start", "-c", file.to_str().unwrap()]).start()
}

#[tokio::test]
async fn an_error_that_ends_the_daemon_is_the_last_line_of_a_log_file() {
    let town = Town::build().await;
    let path = town.folder.path().join("log");
    let running = start(&town, &format!("[log]\noutput = \"{}\"", path.display()));
    let (status, _, stderr) = running.ended().await;
    assert_eq!(status, Some(1));
    let log = fs::read_to_string(path).unwrap();
    let last = log.lines().last().unwrap();
    for part in [
        "ERROR",
        "Terminating with fatal error",
        "error=",
        "AADSTS7000215",
        "hint=",
        "app_secret",
        "exit=1",
    ] {
        assert!(last.contains(part), "{part}: {log}");
    }
    assert!(
        stderr.starts_with("ERROR: could not get a token"),
        "a person may be there: {stderr}"
    );
    assert!(stderr.contains("\nhint: "), "{stderr}");
}

#[tokio::test]
async fn a_log_in_json_holds_the_error_and_no_line_of_text() {
    let town = Town::build().await;
    for output in ["stderr", "stdout"] {
        let (status, stdout, stderr) = start(&town, &format!("[log]\nformat = \"json\"\noutput = \"{output}\""))
            .ended()
            .await;
        assert_eq!(status, Some(1));
        let (log, other) = if output == "stderr" {
            (stderr, stdout)
        } else {
            (stdout, stderr)
        };
        assert_eq!(other, "", "{output}");
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.last().unwrap();
        assert_eq!(last["level"], "ERROR", "{log}");
        assert_eq!(last["message"], "Terminating with fatal error");
        assert_eq!(last["exit"], 1);
        assert!(last["error"].as_str().unwrap().contains("AADSTS7000215"), "{last}");
        assert!(last["hint"].as_str().unwrap().contains("app_secret"), "{last}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_logged_where_it_sends_the_log() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    let wrong = town
        .config()
        .replace(" app_id", " app_di")
        .replace("identity =", "identiy =");
    fs::write(&file, format!("{wrong}\n[log]\nformat = \"json\"\n")).unwrap();
    let (status, stdout, stderr) = Program::new(&["start", "-c", file.to_str().unwrap()]).run().await;
    assert_eq!((status, stdout.as_str()), (Some(78), ""));
    let lines: Vec<Value> = stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let field = |name: &str| -> Vec<_> {
        lines
            .iter()
            .map(|line| line[name].as_str().unwrap_or_default())
            .collect()
    };
    let (messages, problems) = (field("message"), field("problem"));
    assert_eq!(messages.len(), 3, "{stderr}");
    assert!(
        problems[0].starts_with("teleport.identity: there are no credentials"),
        "{stderr}"
    );
    assert!(problems[1].starts_with("msapi.app_id: missing"), "{stderr}");
    assert_eq!(
        (messages[2], &lines[2]["exit"]),
        ("Terminating with fatal error", &Value::from(78))
    );
    let error = lines[2]["error"].as_str().unwrap();
    assert!(
        error.starts_with("invalid configuration ") && error.ends_with("teleport-msteams.toml"),
        "{stderr}"
    );
    // A mistake about the log itself leaves stderr.
    fs::write(&file, format!("{wrong}\n[log]\nformat = \"jsn\"\n")).unwrap();
    let (_, _, stderr) = Program::new(&["start", "-c", file.to_str().unwrap()]).run().await;
    assert!(stderr.starts_with("ERROR: invalid configuration "), "{stderr}");
}

#[tokio::test]
async fn a_log_on_stderr_holds_the_error_once() {
    let town = Town::build().await;
    let (status, _, stderr) = start(&town, "").ended().await;
    assert_eq!(status, Some(1));
    assert_eq!(stderr.matches("ERROR").count(), 1, "{stderr}");
    assert!(!stderr.contains("Terminating with fatal error"), "{stderr}");
}

#[tokio::test]
async fn a_start_that_fails_announces_no_retry_and_names_the_cause_once() {
    let town = Town::build().await;
    for more in ["", "[log]\nformat = \"json\""] {
        let (status, _, stderr) = start(&town, more).ended().await;
        assert_eq!(status, Some(1));
        for word in ["trying again", "retrying"] {
            assert!(!stderr.contains(word), "{stderr}");
        }
        let named: Vec<_> = stderr.lines().filter(|line| line.contains("AADSTS7000215")).collect();
        assert!(named.len() == 1 && named[0].contains("ERROR"), "{stderr}");
    }
}

#[tokio::test]
async fn a_reload_logs_its_changes_and_a_rejection_begins_with_its_result() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, town.config()).unwrap();
    let running = Program::new(&["start", "-c", file.to_str().unwrap()]).start();
    running.says("Plugin is ready").await;
    running.says("Configuration loaded").await;
    running.signal("-HUP").await;
    running.says("Configuration reloaded, no changes").await;
    assert!(!running.stderr().contains("changed="), "{}", running.stderr());

    let wrong = town
        .config()
        .replace("app_id", "app_di")
        .replace("identity =", "identiy =");
    fs::write(&file, wrong).unwrap();
    running.signal("-HUP").await;
    running.says("teleport.identity: there are no credentials").await;
    running.says("msapi.app_id: missing").await;
    let log = running.stderr();
    let result = log
        .find("ERROR Configuration not reloaded, keeping the previous one")
        .unwrap();
    let first = log.find("there are no credentials").unwrap();
    assert!(result < first, "{log}");
    assert!(log.contains("problems=3"), "{log}");

    fs::write(
        &file,
        town.config()
            .replace("\"*\" =", "other = \"alice@example.com\"\n\"*\" ="),
    )
    .unwrap();
    running.signal("-HUP").await;
    running.says("Configuration reloaded changed=role_to_recipients").await;
}

#[tokio::test]
async fn a_role_without_write_access_to_plugin_data_causes_a_warning_at_the_start() {
    let town = Town::build().await;
    town.cluster.faults(|faults| faults.deny_plugin_data = true);
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, town.config()).unwrap();
    let running = Program::new(&["start", "-c", file.to_str().unwrap()]).start();
    let said = "The role lacks a permission; Access Requests cannot be announced";
    running.says(said).await;
    let log = running.stderr();
    let line = log.lines().find(|line| line.contains(said)).unwrap();
    assert!(
        line.contains("WARN") && line.contains("Grant the role update on access_plugin_data"),
        "{line}"
    );
}

#[tokio::test]
async fn a_thousand_reload_signals_cause_few_reloads_and_the_last_change_is_applied() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, town.config()).unwrap();
    let running = Program::new(&["start", "-c", file.to_str().unwrap()]).start();
    running.says("Plugin is ready").await;
    let begun = std::time::Instant::now();
    let storm = format!(
        "i=0; while [ $i -lt 1000 ]; do kill -HUP {}; i=$((i+1)); done",
        running.id()
    );
    let status = tokio::process::Command::new("sh")
        .args(["-c", &storm])
        .status()
        .await
        .unwrap();
    assert!(status.success());
    let changed = town
        .config()
        .replace("\"*\" =", "other = \"alice@example.com\"\n\"*\" =");
    fs::write(&file, changed).unwrap();
    running.signal("-HUP").await;
    running.says("Configuration reloaded changed=role_to_recipients").await;
    let reloads = running.stderr().matches("Configuration reloaded").count();
    let most = usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    assert!(reloads <= most, "{reloads} reloads, {most} expected");
}

#[test]
fn the_unit_backs_off_after_failures_and_does_not_restart_after_configuration_errors() {
    let unit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/teleport-msteams.service");
    let unit = fs::read_to_string(unit).unwrap();
    for line in [
        "Restart=on-failure",
        "RestartSteps=10",
        "RestartMaxDelaySec=5min",
        "RestartPreventExitStatus=2 78",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}
