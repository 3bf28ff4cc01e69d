//! Converts the text of the file into [`Settings`], or returns every problem in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::config::cloud::has_presence;
use crate::config::exposure;
use crate::config::file::{Notes, Root, Section};
use crate::config::listen::listening;
use crate::config::microsoft::microsoft;
use crate::config::notify::{digest, escalation, notify};
use crate::config::recipients::{foreign, routing};
use crate::config::review::review;
use crate::config::shown::quoted;
use crate::config::source::Source;
use crate::config::teleport::teleport;
use crate::config::unknown::explain;
use crate::config::{Limits, LogFormat, LogOutput, LogSettings, Problem, Problems, Settings};

/// Valid settings, and the warnings about their file.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub warnings: Vec<Problem>,
}

/// Reads and checks the file; `environment` looks up environment variables.
///
/// # Errors
/// Returns every problem of the file.
pub fn load(file: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let fail = |problem| Problems {
        file: file.to_owned(),
        list: vec![problem],
        unknown: Vec::new(),
        log: None,
    };
    let Source { table, lines } = Source::read(file).map_err(fail)?;
    let mut notes = Notes::default();
    let settings = check(&table, environment, &mut notes);
    if let Some(settings) = &settings {
        exposure::examine(file, settings, &mut notes);
    }
    let unknown = explain(&notes.asked, &lines, &mut notes.problems);
    for found in notes.problems.iter_mut().chain(&mut notes.warnings) {
        found.line = lines.of(&found.key.replace('"', ""));
    }
    match settings {
        Some(settings) if notes.problems.is_empty() => Ok(Loaded {
            settings,
            warnings: notes.warnings.into_iter().chain(unknown).collect(),
        }),
        Some(_) | None => Err(Problems {
            file: file.to_owned(),
            list: notes.problems,
            unknown,
            log: notes.log.map(Box::new),
        }),
    }
}

/// Returns every key that the program reads, with its table, such as `teleport.addr`; the roles of `role_to_recipients` are
/// one key.
pub fn known_keys() -> BTreeSet<String> {
    let mut notes = Notes::default();
    check(&Table::new(), &|_| None, &mut notes);
    let tables: BTreeSet<&str> = notes.asked.iter().map(|asked| asked.table).collect();
    let keys = notes.asked.iter().flat_map(|asked| {
        let path = |key: &&str| match asked.table {
            "" => (*key).to_owned(),
            table => format!("{table}.{key}"),
        };
        asked.known.iter().map(path)
    });
    keys.filter(|key| !tables.contains(key.as_str())).collect()
}

/// Returns `None` only if it recorded a problem.
fn check(table: &Table, environment: &dyn Fn(&str) -> Option<String>, notes: &mut Notes) -> Option<Settings> {
    let mut root = Root::new(table);
    let preload = root.boolean("preload", notes).unwrap_or(false);
    let diagnostics = root.string("diag_addr", notes).and_then(|text| {
        let hint = hint!("Set it to host:port, such as \"127.0.0.1:8081\"");
        listening("diag_addr", text, "127.0.0.1", hint, notes)
    });

    let mut section = Section::take(&mut root, "teleport", notes);
    let teleport = teleport(&mut section, environment, notes);
    section.finish(notes);

    let mut section = Section::take(&mut root, "msapi", notes);
    let microsoft = microsoft(&mut section, environment, notes);
    section.finish(notes);

    let section = Section::take(&mut root, "role_to_recipients", notes);
    let routing = routing(section, table, notes);
    if let (Some(routing), Some(microsoft)) = (&routing, &microsoft) {
        foreign("role_to_recipients", routing, &microsoft.tenant_id, notes);
    }

    let mut section = Section::take(&mut root, "notify", notes);
    let mut notify = notify(&mut section, notes);
    section.finish(notes);
    if let Some(microsoft) = &microsoft
        && notify.out_of_office
        && !has_presence(microsoft.endpoints.cloud)
    {
        let hint = hint!("Set it to false; delegates are not notified in this cloud");
        notes.warning("notify.out_of_office", "Graph of this cloud has no presence", hint);
        notify.out_of_office = false;
    }

    let mut section = Section::take(&mut root, "escalation", notes);
    let escalation = escalation(&mut section, notes);
    section.finish(notes);
    if let (Some(escalation), Some(microsoft)) = (&escalation, &microsoft) {
        let key = "escalation.role_to_recipients";
        foreign(key, &escalation.routing, &microsoft.tenant_id, notes);
    }

    let mut section = Section::take(&mut root, "digest", notes);
    let digest = digest(&mut section, notes);
    section.finish(notes);

    let mut section = Section::take(&mut root, "review", notes);
    let review = review(&mut section, diagnostics.as_ref(), notes);
    section.finish(notes);

    let mut section = Section::take(&mut root, "log", notes);
    let before = notes.problems.len();
    let log = log(&mut section, notes);
    section.finish(notes);
    if notes.problems.len() == before {
        notes.log = Some(log.clone());
    }

    root.finish(notes);
    Some(Settings {
        preload,
        diagnostics,
        teleport: teleport?,
        microsoft: microsoft?,
        routing: routing?,
        notify,
        escalation,
        digest,
        review: review?,
        log,
        fail_fast: false,
        limits: Limits::default(),
    })
}

fn log(section: &mut Section<'_>, notes: &mut Notes) -> LogSettings {
    let output = match section.string("output", notes) {
        None | Some("stderr" | "error" | "2") => LogOutput::Stderr,
        Some("stdout" | "out" | "1") => LogOutput::Stdout,
        Some(path) => {
            if path.starts_with("~/") {
                let message = format!("{path}: ~ is not expanded");
                notes.problem(section.key("output"), message, hint!("Write the absolute path"));
            }
            LogOutput::File(PathBuf::from(path))
        }
    };
    let severity = section.string("severity", notes).unwrap_or("info");
    let level = match severity.to_lowercase().as_str() {
        "info" => Some(tracing::Level::INFO),
        "err" | "error" => Some(tracing::Level::ERROR),
        "debug" => Some(tracing::Level::DEBUG),
        "warn" | "warning" => Some(tracing::Level::WARN),
        "trace" => Some(tracing::Level::TRACE),
        _ => None,
    };
    if level.is_none() {
        let message = format!("{} is not a severity", quoted(severity));
        notes.problem(
            section.key("severity"),
            message,
            hint!("Set it to error, warn, info, debug or trace"),
        );
    }
    let format = match section.string("format", notes).unwrap_or("text") {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => {
            notes.problem(
                section.key("format"),
                format!("{} is not a format", quoted(other)),
                hint!("Set it to text or json"),
            );
            LogFormat::Text
        }
    };
    LogSettings {
        output,
        severity: level.unwrap_or(tracing::Level::INFO),
        format,
        // Only the environment sets filters.
        filters: None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const GOOD: &str = r#"
        preload = true
        [teleport]
        addr = "teleport.example.com:443"
        identity = "/var/lib/teleport/plugins/msteams/identity"
        refresh_identity = true
        [msapi]
        app_id = "11111111-2222-3333-4444-555555555555"
        app_secret = "keep it quiet"
        tenant_id = "66666666-2222-3333-4444-555555555555"
        teams_app_id = "77777777-2222-3333-4444-555555555555"
        [role_to_recipients]
        "*" = "alice@example.com"
        dba = ["bob@example.com", "alice@example.com"]
    "#;

    /// Loads a text and returns its problems and its warnings, each in one line.
    fn check(text: &str) -> (Vec<String>, Vec<String>) {
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let file = folder.path().join("teleport-msteams.toml");
        fs::write(&file, text).unwrap();
        let environment = |name: &str| (name == "SECRET").then(|| "from the environment".to_owned());
        let lines = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
        match load(&file, &environment) {
            Ok(loaded) => (Vec::new(), lines(loaded.warnings)),
            Err(problems) => (lines(problems.list), Vec::new()),
        }
    }

    /// Replaces one piece of the good file, and expects exactly these problems, each by a part of its line.
    #[track_caller]
    fn wrong(from: &str, to: &str, expected: &[&str]) {
        assert!(GOOD.contains(from), "{from}");
        let (problems, _) = check(&GOOD.replacen(from, to, 1));
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem}");
            assert!(!problem.contains("keep it quiet"), "{problem}");
        }
    }

    #[test]
    fn a_good_file_has_neither_problems_nor_warnings() {
        assert_eq!(check(GOOD), (vec![], vec![]));
    }

    #[test]
    fn every_problem_of_a_file_is_reported() {
        let text = r#"
            preload = "yes"
            diag_addr = "somewhere"
            [teleport]
            addr = 5
            client_key = "/key"
            [msapi]
            app_secret = "env:MISSING"
            cloud = "blue"
            [role_to_recipients]
            dba = 7
            dev = [true]
            [log]
            severity = "loud"
        "#;
        let (problems, _) = check(text);
        let parts = [
            "preload: expected true or false, got the string \"yes\"",
            "diag_addr: \"somewhere\" is not a listen address",
            "teleport.addr: expected a string, got the number 5",
            "teleport: missing: client_crt, root_cas",
            "msapi.app_id: missing",
            "msapi.tenant_id: missing",
            "msapi.teams_app_id: missing",
            "msapi.app_secret: the environment variable MISSING is not set",
            "msapi.cloud: \"blue\" is not a cloud",
            "role_to_recipients.\"*\": missing",
            "role_to_recipients.\"dba\": expected recipients, got the number 7",
            "role_to_recipients.\"dev\": expected recipients, got true",
            "log.severity: \"loud\" is not a severity",
        ];
        for part in parts {
            assert!(
                problems.iter().any(|problem| problem.contains(part)),
                "{part}: {problems:#?}"
            );
        }
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_key_and_a_hint() {
        wrong(
            "addr = \"teleport.example.com:443\"",
            "addr = \"ftp://x\"",
            &["ftp:// is not supported\n    hint: Set it to host:port"],
        );
        wrong(
            "addr = \"teleport.example.com:443\"",
            "addr = \"x:99999\"",
            &["teleport.addr"],
        );
        wrong(
            "identity = ",
            "client_key = \"/k\"\nidentity = ",
            &["\n    hint: Keep one of them"],
        );
        wrong(
            "\"keep it quiet\"",
            "\"/no/such/file\"",
            &["msapi.app_secret: could not read /no/such/file"],
        );
        wrong("\"keep it quiet\"", "\"\"", &["msapi.app_secret: missing"]);
        wrong(
            "\"11111111-2222",
            "\"xxxxxxxx-xxxx",
            &["msapi.app_id: still has the placeholder value"],
        );
        wrong("\"66666666-2222", "\"a/b", &["msapi.tenant_id: \"a/b"]);
        let http = "[msapi.endpoints]\nlogin = \"http://login.example.com\"\n[role_to_recipients]";
        wrong(
            "[role_to_recipients]",
            http,
            &["msapi.endpoints.login: \"http://login.example.com\" would send secrets"],
        );
        wrong("[msapi]", "[msapi", &["syntax error at line 7"]);
    }

    #[test]
    fn unknown_keys_and_odd_recipients_are_warnings() {
        let text = GOOD
            .replace("preload", "preloda = 1\npreload")
            .replace("\"*\" = \"alice@example.com\"", "\"*\" = []");
        let (problems, warnings) = check(&text.replacen("app_id =", "app_di = 1\napp_id =", 1));
        assert_eq!(problems, Vec::<String>::new());
        let parts = [
            "msapi.app_di: unknown key, ignored\n    hint: Did you mean app_id?",
            "requests for roles without their own entry notify only suggested reviewers",
            "preloda: unknown key, ignored\n    hint: Did you mean preload?",
        ];
        for part in parts {
            assert!(
                warnings.iter().any(|warning| warning.contains(part)),
                "{part}: {warnings:#?}"
            );
        }
        let (_, warnings) = check(&GOOD.replace("\"bob@example.com\"", "\"devs-msteams-channel\""));
        assert!(
            warnings[0].contains("\"devs-msteams-channel\" is not a valid recipient"),
            "{warnings:?}"
        );
    }

    #[test]
    fn addresses_and_secrets_have_several_forms() {
        for addr in [
            "https://teleport.example.com/",
            "teleport.example.com",
            "[::1]:3025",
            "tcp://h:1",
        ] {
            assert_eq!(
                check(&GOOD.replace("teleport.example.com:443", addr)).0,
                Vec::<String>::new(),
                "{addr}"
            );
        }
        assert_eq!(
            check(&GOOD.replace("keep it quiet", "env:SECRET")).0,
            Vec::<String>::new()
        );
        assert_eq!(check(&GOOD.replace("[teleport]", "[TELEPORT]")).0, Vec::<String>::new());
        let loopback = "[msapi.endpoints]\nbot = \"http://127.0.0.1:1/bot\"\n[role_to_recipients]";
        assert_eq!(
            check(&GOOD.replace("[role_to_recipients]", loopback)).0,
            Vec::<String>::new()
        );
    }
}
