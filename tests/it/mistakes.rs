//! Mistakes in the configuration file: each is reported with its line and a correction.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use teleport_msteams::config;
use teleport_msteams::config::Problem;

use crate::process::run;
use crate::support::{Program, Town};

const IDS: &str = "app_id = \"11111111-1111-4111-8111-111111111111\"
tenant_id = \"22222222-2222-4222-8222-222222222222\"
teams_app_id = \"33333333-3333-4333-8333-333333333333\"
";

/// Loads a text, and returns its problems and the other lines that are shown with them.
fn wrong(text: &str) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("teleport-msteams.toml");
    fs::write(&file, text).unwrap();
    let problems = config::load(&file, &|_| None).unwrap_err();
    let lines = |list: &[Problem]| list.iter().map(ToString::to_string).collect();
    (lines(&problems.list), lines(&problems.unknown))
}

/// Expects that one of the lines has all of the parts.
#[track_caller]
fn has(lines: &[String], parts: &[&str]) {
    let found = lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(found, "{parts:?}: {lines:#?}");
}

#[test]
fn a_misspelt_required_key_is_reported_with_the_missing_one() {
    let text = format!(
        "[teleport]\naddress = \"teleport.example.com:443\"\nidentity_file = \"/identity\"\n[msapi]\n{}app_secert = \
         \"x\"\n[role_to_recipients]\n\"*\" = []\n",
        IDS.replace("app_id =", "appid =")
            .replacen("teams_appid", "teams_app_id", 1)
    );
    let (problems, unknown) = wrong(&text);
    has(
        &problems,
        &[
            "teleport.identity:",
            "(line 3 has identity_file: did you mean identity?)",
        ],
    );
    has(
        &problems,
        &["msapi.app_id: missing (line 5 has appid: did you mean app_id?)"],
    );
    has(
        &problems,
        &["msapi.app_secret: missing (line 8 has app_secert: did you mean app_secret?)"],
    );
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert_eq!(
        unknown,
        ["line 2: teleport.address: unknown key, ignored\n    hint: Did you mean addr?"]
    );
}

#[test]
fn dashes_other_names_and_keys_of_another_table_are_explained() {
    let text = format!(
        "[teleport]\nauth-server = \"t:443\"\nclient-key = \"/k\"\nclient-crt = \"/c\"\nroot-cas = \"/r\"\ntenant_id = \
         \"22222222-2222-4222-8222-222222222222\"\n[msapi]\nclient_secret = \
         \"x\"\n{}[role_to_recipients]\n\"*\" = []\n[http]\nlisten = \":8081\"\n",
        IDS.replace("tenant_id", "directory_id")
    );
    let (problems, unknown) = wrong(&text);
    has(&problems, &["teleport.identity: there are no credentials"]);
    has(&problems, &["msapi.app_secret: missing (line 8 has client_secret"]);
    has(
        &problems,
        &["msapi.tenant_id: missing (line 6 has tenant_id: it belongs under [msapi])"],
    );
    for (key, meant) in [
        ("client-key", "client_key"),
        ("client-crt", "client_crt"),
        ("auth-server", "addr"),
    ] {
        has(
            &unknown,
            &[
                &format!("teleport.{key}: unknown key, ignored"),
                &format!("Did you mean {meant}?"),
            ],
        );
    }
    let http = unknown.iter().find(|line| line.contains("http"));
    assert_eq!(http.unwrap(), "line 14: http: unknown key, ignored");
}

#[test]
fn a_misspelt_table_is_named_once() {
    let text =
        format!("[teleport]\nidentity = \"/i\"\n[msap]\n{IDS}app_secret = \"x\"\n[roles_to_recipients]\n\"*\" = []\n");
    let (problems, unknown) = wrong(&text);
    has(
        &problems,
        &["msapi.app_id: missing (line 3 has [msap]: did you mean [msapi]?)"],
    );
    has(
        &problems,
        &["role_to_recipients: missing (line 8 has [roles_to_recipients]: did you mean [role_to_recipients]?)"],
    );
    assert_eq!(unknown, Vec::<String>::new());
}

#[tokio::test]
async fn a_syntax_error_is_shown_as_rules_check_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    fs::write(&file, "[teleport]\naddr = \"x\nidentity = \"/i\"\n").unwrap();
    let (status, _, stderr) = run(&["start", "-c", file.to_str().unwrap()]).await;
    assert_eq!(status, Some(78));
    assert!(
        stderr.ends_with(
            "\n  syntax error at line 2, column 10: invalid basic string, expected `\"`\n    2 | addr = \"x\n      |          ^\n    hint: Put a \" at \
             both ends of the value\n"
        ),
        "{stderr}"
    );
}

#[tokio::test]
async fn an_unreadable_file_is_reported_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let error_of = async |path: &Path| run(&["start", "-c", path.to_str().unwrap()]).await.2;
    let stderr = error_of(folder.path()).await;
    assert!(
        stderr.contains("Is a directory") && stderr.contains("Pass the path of the file in this directory"),
        "{stderr}"
    );
    let stderr = error_of(&folder.path().join("none")).await;
    assert!(
        stderr.contains("Pass the path of the configuration with --config"),
        "{stderr}"
    );
    let file = folder.path().join("latin.toml");
    fs::write(&file, b"[log]\noutput = \"/var/log/\xfcber\"\n").unwrap();
    let stderr = error_of(&file).await;
    assert!(
        stderr.contains("line 2 contains a character that is not UTF-8") && stderr.contains("Save the file as UTF-8"),
        "{stderr}"
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads every file.
    if fs::read(&file).is_err() {
        let stderr = error_of(&file).await;
        assert!(stderr.contains("Run the command as a user who can read it"), "{stderr}");
    }
}

#[tokio::test]
async fn a_secret_at_the_wrong_place_is_never_shown() {
    let town = Town::build().await;
    let secret = town.tenant.options().app_secret.clone();
    let file = town.folder.path().join("teleport-msteams.toml");
    let good = town.config();
    let line = |key: &str| {
        good.lines()
            .find(|line| line.trim().starts_with(key))
            .unwrap()
            .to_owned()
    };
    let places = [
        (line("app_id"), format!("app_id = \"{secret}\"")),
        (line("tenant_id"), format!("tenant_id = \"{secret}\"")),
        (line("teams_app_id"), format!("teams_app_id = \"{secret}")),
        (line("app_secret"), format!("app_secret = {secret}")),
        (line("app_secret"), format!("\"{secret}\" = 1")),
        (line("app_secret"), format!("cloud = \"{secret}\"")),
        (line("addr"), format!("addr = \"{secret}\"")),
        (line("identity"), format!("refresh_identity = \"{secret}\"")),
        ("[msapi]".to_owned(), format!("msapi = \"{secret}\"\n[other]")),
        ("\"*\"".to_owned(), format!("\"*\" = \"{secret}\"\nother")),
    ];
    for (from, to) in places {
        assert!(good.contains(&from), "{from}");
        fs::write(&file, good.replacen(&from, &to, 1)).unwrap();
        let validate = ["validate", "--all", "--offline", "-c", file.to_str().unwrap()];
        let (status, stdout, stderr) = run(&validate).await;
        assert!(
            !stdout.contains(&secret) && !stderr.contains(&secret),
            "{to}: {stdout}{stderr}"
        );
        assert!(status == Some(78) || stdout.contains("warning"), "{to}: {stdout}");
        if status == Some(78) {
            let (_, _, stderr) = run(&["start", "-c", file.to_str().unwrap()]).await;
            assert!(!stderr.contains(&secret), "{to}: {stderr}");
        }
    }
}

/// Loads the town's configuration with one line replaced, and returns every problem or warning.
fn notes(town: &Town, key: &str, line: &str) -> Vec<String> {
    let config = town.config();
    let old = config.lines().find(|line| line.trim().starts_with(key)).unwrap();
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, config.replacen(old, line, 1)).unwrap();
    let notes = match config::load(&file, &|_| None) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems.list,
    };
    notes.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn implausible_values_are_reported_with_the_correct_form() {
    let town = Town::build().await;
    assert_eq!(notes(&town, "addr", "addr = \"localhost\""), Vec::<String>::new());
    let folder = town.folder.path().display();
    let tenant = town.tenant.options().tenant_id.clone();
    for (key, line, expected) in [
        (
            "app_secret",
            "app_secret = \"./secret.txt\"",
            "looks like a relative path\n    hint: Write the absolute path of the file",
        ),
        (
            "app_secret",
            "app_secret = \"~/secret\"",
            "looks like a relative path\n    hint: Write the absolute path of the file",
        ),
        (
            "app_secret",
            "app_secret = \"src/lib.rs\"",
            "looks like a relative path\n    hint: Write the absolute path of the file",
        ),
        (
            "app_secret",
            "app_secret = \"XXXXXXXXXXXXXXXXXXXXXX\"",
            "app_secret: still has the placeholder value",
        ),
        (
            "app_secret",
            "app_secret = \"<client secret>\"",
            "app_secret: still has the placeholder value",
        ),
        (
            "app_id",
            "app_id = \"XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX\"",
            "app_id: still has the placeholder value",
        ),
        (
            "app_id",
            &format!("app_id = \"{tenant}\""),
            "tenant_id: is the same as app_id",
        ),
        ("addr", "", "teleport.addr: is not set, using localhost:3025"),
        ("addr", "addr = \"\"", "teleport.addr: is not set, using localhost:3025"),
        (
            "identity",
            &format!("identity = \"{folder}\""),
            "is a directory\n    hint: Set it to the path of the file, such as",
        ),
        (
            "identity",
            "identity = \"~/identity\"",
            "~ is not expanded\n    hint: Write the absolute path",
        ),
        (
            "identity",
            "identity = \"identity\"",
            "the working directory of this program\n    hint: Write the absolute path",
        ),
        (
            "identity",
            "identity = 'C:\\identity'",
            "the working directory of this program\n    hint: Write the absolute path",
        ),
    ] {
        has(&notes(&town, key, line), &[expected]);
    }
    let log = format!("{}\n[log]\noutput = \"~/log\"\n", town.config());
    has(
        &wrong(&log).0,
        &["log.output: ~/log: ~ is not expanded\n    hint: Write the absolute path"],
    );
    let bare = town.channel.split("&tenantId=").next().unwrap();
    let all = |tenant: &str| notes(&town, "\"*\"", &format!("\"*\" = [\"{bare}&tenantId={tenant}\"]"));
    let other = "99999999-2222-4222-8222-222222222222";
    has(&all(other), &[&format!("belongs to another tenant, \"{other}\"")]);
    assert_eq!(all(&tenant.to_uppercase()), Vec::<String>::new());
}

#[tokio::test]
async fn a_secret_that_is_not_there_yet_allows_a_restart_and_a_wrong_text_does_not() {
    let town = Town::build().await;
    let file = town.folder.path().join("teleport-msteams.toml");
    let secret = town.folder.path().join("secret");
    let old = format!("\"{}\"", town.tenant.options().app_secret);
    let status = async |value: &str| {
        fs::write(&file, town.config().replace(&old, &format!("\"{value}\""))).unwrap();
        let mut statuses = Vec::new();
        for arguments in [&["start"][..], &["validate", "--all", "--offline"]] {
            statuses.push(run(&[arguments, &["-c", file.to_str().unwrap()]].concat()).await.0);
        }
        assert_eq!(statuses[0], statuses[1], "{value}");
        statuses[0]
    };
    let path = secret.to_str().unwrap();
    assert_eq!(status(path).await, Some(1), "there is no such file");
    fs::write(&secret, "\n").unwrap();
    assert_eq!(status(path).await, Some(1), "it is still empty");
    fs::write(&secret, [0xff, 0xfe]).unwrap();
    assert_eq!(status(path).await, Some(78), "it is no text");
    assert_eq!(status("env:NOT_SET").await, Some(78));
    assert_eq!(status("./secret").await, Some(78));
    fs::write(
        &file,
        town.config()
            .replace(&old, &format!("\"{path}.not\""))
            .replace("app_id", "app_di"),
    )
    .unwrap();
    let (status, ..) = run(&["start", "-c", file.to_str().unwrap()]).await;
    assert_eq!(status, Some(78), "something else is wrong as well");
}

#[tokio::test]
async fn a_world_readable_secret_causes_a_warning_at_the_start_and_in_validate() {
    let town = Town::build().await;
    let path = |name: &str| town.folder.path().join(name);
    let mode = |name: &str, mode: u32| fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    let secret = town.tenant.options().app_secret.clone();
    fs::write(path("secret"), &secret).unwrap();
    fs::write(path("inline.toml"), town.config()).unwrap();
    let by_file = town.config().replace(&secret, path("secret").to_str().unwrap());
    fs::write(path("file.toml"), by_file).unwrap();
    let warnings = |name: &str| {
        let loaded = config::load(&path(name), &|_| None).unwrap();
        loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for name in ["secret", "identity", "inline.toml", "file.toml"] {
        mode(name, 0o644);
    }
    // A directory that other users cannot enter protects its files.
    assert_eq!(warnings("inline.toml"), Vec::<String>::new());
    fs::set_permissions(town.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (configuration, file, what) in [
        ("inline.toml", "inline.toml", "which holds the client secret"),
        ("inline.toml", "identity", "which holds the private key"),
        ("file.toml", "secret", "which holds the client secret"),
    ] {
        let shown = path(file).display().to_string();
        has(
            &warnings(configuration),
            &[
                "every user of this machine can read",
                &shown,
                what,
                &format!("chmod 640 {shown}"),
            ],
        );
    }
    assert_eq!(
        warnings("file.toml").len(),
        2,
        "a configuration without a secret may be read"
    );
    mode("file.toml", 0o646);
    has(
        &warnings("file.toml"),
        &["can write to", "file.toml", "which controls who is notified"],
    );
    for name in ["secret", "identity", "inline.toml", "file.toml"] {
        mode(name, 0o640);
    }
    assert_eq!(warnings("inline.toml"), Vec::<String>::new());

    mode("identity", 0o604);
    let arguments = ["-c", path("inline.toml").to_str().unwrap()].map(str::to_owned);
    let [flag, file] = arguments.each_ref().map(String::as_str);
    let (_, stdout, _) = run(&["validate", "--all", "--offline", flag, file]).await;
    assert!(
        stdout.contains(" warning  configuration: ") && stdout.contains("identity, which holds"),
        "{stdout}"
    );
    let running = Program::new(&["start", flag, file]).start();
    running
        .says("identity, which holds the private key\" hint=\"Run `chmod 640")
        .await;
}
