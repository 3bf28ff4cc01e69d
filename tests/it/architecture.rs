//! Checks the dependency table of `ARCHITECTURE.md` against the paths in `src/`.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module, and the modules it may use besides itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("backoff", &[]),
    ("blocking", &[]),
    ("cache", &[]),
    ("clock", &[]),
    ("secret", &[]),
    ("nearest", &[]),
    ("heartbeat", &[]),
    ("hint", &[]),
    ("level", &[]),
    ("listener", &[]),
    ("visible", &[]),
    ("domain::request", &[]),
    ("domain::recipients", &["domain::request"]),
    ("domain::review", &["domain::request"]),
    (
        "domain::card",
        &["domain::request", "domain::recipients", "domain::review"],
    ),
    ("domain::rules", &["domain::request", "domain::recipients", "nearest"]),
    (
        "domain::lifecycle",
        &["domain::request", "domain::recipients", "domain::card"],
    ),
    ("domain::reminders", &["domain::request"]),
    (
        "domain::explanation",
        &[
            "domain::request",
            "domain::recipients",
            "domain::lifecycle",
            "domain::reminders",
        ],
    ),
    (
        "config",
        &[
            "domain::recipients",
            "domain::review",
            "domain::card",
            "domain::reminders",
            "clock",
            "nearest",
            "secret",
            "visible",
        ],
    ),
    (
        "telemetry",
        &[
            "domain::request",
            "domain::rules",
            "domain::review",
            "domain::lifecycle",
            "config",
            "clock",
            "heartbeat",
            "listener",
            "visible",
        ],
    ),
    (
        "teleport",
        &[
            "domain::request",
            "domain::rules",
            "domain::review",
            "domain::reminders",
            "config",
            "backoff",
            "blocking",
            "clock",
            "heartbeat",
            "secret",
            "visible",
        ],
    ),
    (
        "msteams",
        &[
            "domain::recipients",
            "domain::review",
            "domain::card",
            "config",
            "backoff",
            "cache",
            "clock",
            "heartbeat",
            "secret",
            "visible",
        ],
    ),
    (
        "daemon",
        &[
            "domain::request",
            "domain::recipients",
            "domain::rules",
            "domain::review",
            "domain::card",
            "domain::lifecycle",
            "domain::reminders",
            "config",
            "teleport",
            "msteams",
            "telemetry",
            "backoff",
            "blocking",
            "cache",
            "clock",
            "heartbeat",
            "listener",
            "visible",
        ],
    ),
    (
        "cli",
        &[
            "domain::request",
            "domain::recipients",
            "domain::rules",
            "domain::card",
            "domain::lifecycle",
            "domain::reminders",
            "domain::explanation",
            "clock",
            "nearest",
            "heartbeat",
            "visible",
            "config",
            "teleport",
            "msteams",
            "telemetry",
            "daemon",
        ],
    ),
];

/// What pure code must not mention.
const NOT_IN_DOMAIN: &[&str] = &[
    "async ", "tokio", "tonic", "reqwest", "tracing", "std::fs", "std::net", "std::env", "::now()",
];

/// Libraries that only one module may name.
const ONLY_IN: &[(&str, &str)] = &[
    ("tonic", "teleport"),
    ("prost", "teleport"),
    ("reqwest", "msteams"),
    ("ring", "msteams"),
    ("prometheus_client", "telemetry"),
    ("notify", "teleport"),
    ("tungstenite", "teleport"),
    ("clap", "cli"),
    ("rpassword", "cli"),
    ("zip", "msteams"),
    ("backoff::backoff", "backoff"),
];

#[test]
fn every_test_checks_the_daemons_log_for_secrets() {
    let elsewhere = [
        concat!("CARGO_BIN", "_EXE"),
        concat!("daemon::", "run("),
        concat!("tracing_", "subscriber"),
    ];
    for (file, text) in rust_files("tests/it") {
        for way in elsewhere.iter().filter(|_| !file.starts_with("support")) {
            assert!(
                !text.contains(way),
                "{}: {way} belongs into support, where secrets are looked for",
                file.display()
            );
        }
    }
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        let module = module_of(&file);
        if module.is_empty() || module == "domain" {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            breaches.push(format!("{}: {module} is not in the table", file.display()));
            continue;
        };
        for used in used_modules(&text) {
            if used != module && !allowed.contains(&used.as_str()) {
                breaches.push(format!("{}: {module} uses {used}", file.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn paths_between_modules_start_with_crate_and_name_one_module() {
    for (file, text) in sources() {
        for line in text.lines().filter(|line| line.trim() != "use super::*;") {
            assert!(!line.contains("super::"), "{}: {line}", file.display());
            assert!(!line.contains("crate::{"), "{}: {line}", file.display());
        }
    }
}

#[test]
fn the_domain_is_pure() {
    for (file, text) in sources().filter(|(file, _)| file.starts_with("domain")) {
        for banned in NOT_IN_DOMAIN {
            assert!(!text.contains(banned), "{} mentions {banned}", file.display());
        }
    }
}

#[test]
fn the_courier_knows_no_request() {
    let (_, courier) = sources()
        .into_iter()
        .find(|(file, _)| file.ends_with("daemon/courier.rs"))
        .expect("the courier has a file");
    for used in ["domain::lifecycle", "domain::request", "domain::card", "crate::daemon"] {
        assert!(!courier.contains(used), "the courier uses {used}");
    }
}

#[test]
fn requests_from_teams_are_read_by_pure_code() {
    let mut files = 0;
    for (file, text) in sources().filter(|(file, _)| file.starts_with("msteams/inbound")) {
        files += 1;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        for path in code.split("crate::").skip(1) {
            let is_inside = path.starts_with("msteams::inbound::") || path.starts_with("domain::review::");
            let allowed = match &*name {
                "key_source.rs" => true,
                "key_cache.rs" => is_inside || path.starts_with("heartbeat::"),
                "schedule.rs" => is_inside || path.starts_with("backoff::"),
                _ => is_inside,
            };
            assert!(
                allowed,
                "{} uses {}",
                file.display(),
                path.lines().next().unwrap_or_default()
            );
        }
        for banned in NOT_IN_DOMAIN {
            let allowed = match &*name {
                "key_source.rs" | "key_cache.rs" => true,
                "schedule.rs" => *banned == "tokio",
                _ => false,
            };
            assert!(
                allowed || !code.contains(banned),
                "{} mentions {banned}",
                file.display()
            );
        }
    }
    assert!(files >= 10, "{files}");
}

#[test]
fn only_a_verified_press_becomes_a_review() {
    for (file, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let submits = ["submit_review(", "Submission::new("]
            .iter()
            .any(|call| code.contains(call));
        let defines = ["teleport/reviews.rs", "domain/review/submission.rs"]
            .iter()
            .any(|home| file.ends_with(home));
        let is_home = file.ends_with("daemon/actions/review.rs");
        assert!(!submits || defines || is_home, "{} submits a review", file.display());
        if is_home {
            let entries: Vec<_> = code
                .lines()
                .filter(|line| line.contains("pub(super) async fn"))
                .collect();
            assert!(
                matches!(*entries, [entry] if entry.contains("press: &Press")),
                "{entries:?}"
            );
        }
        if file.starts_with("daemon/actions") {
            for used in [
                "daemon::requests::Lanes",
                "domain::lifecycle",
                "crate::daemon::requests",
            ] {
                assert!(!code.contains(used), "{} uses {used}", file.display());
            }
        }
    }
}

#[test]
fn each_external_crate_is_used_in_one_module() {
    for (file, text) in sources() {
        let module = module_of(&file);
        for (library, home) in ONLY_IN {
            let uses = text
                .lines()
                .any(|line| line.trim_start().starts_with(&format!("use {library}")));
            assert!(!uses || module == *home, "{} uses {library}", file.display());
        }
    }
}

#[test]
fn every_module_has_a_module_comment() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "{} has no module comment", file.display());
        if file.ends_with("mod.rs") {
            let invariant = text.contains("Architecture Invariant:");
            assert!(invariant, "{} states no invariant", file.display());
        }
    }
}

#[test]
fn no_native_tls_library_is_linked() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    for banned in ["openssl", "openssl-sys", "native-tls", "aws-lc-sys"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"")), "{banned}");
    }
}

/// `teleport/watch.rs` is in `teleport`, `domain/rules/eval.rs` in `domain::rules`; the roots are in none.
fn module_of(file: &Path) -> String {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    match parts.as_slice() {
        [domain, inner, ..] if domain == "domain" && inner != "mod.rs" => {
            format!("domain::{}", inner.trim_end_matches(".rs"))
        }
        [root] if ["lib.rs", "main.rs"].contains(&root.as_ref()) => String::new(),
        [file] => file.trim_end_matches(".rs").to_owned(),
        [first, ..] => first.to_string(),
        [] => String::new(),
    }
}

fn used_modules(text: &str) -> Vec<String> {
    let paths = text.split("crate::").skip(1);
    paths
        .map(|rest| {
            let mut names = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
            let first = names.next().unwrap_or_default();
            match (first, rest.strip_prefix("domain::")) {
                ("domain", Some(_)) => format!("domain::{}", names.nth(1).unwrap_or_default()),
                _ => first.to_owned(),
            }
        })
        .collect()
}

/// Every file of `src/` with its text, by its path below `src/`.
fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    rust_files("src")
}

/// Every file of a directory of the project with its text, by its path below the directory.
fn rust_files(folder: &str) -> impl Iterator<Item = (PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    files.into_iter()
}
