//! Unknown keys, and the known key that was probably meant.

use crate::config::Problem;
use crate::config::shown;
use crate::config::source::Lines;
use crate::nearest::nearest;

/// Names that other programs and Microsoft's pages use, and the known key.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("client_id", "app_id"),
    ("application_id", "app_id"),
    ("client_secret", "app_secret"),
    ("app_password", "app_secret"),
    ("directory_id", "tenant_id"),
    ("proxy_addr", "addr"),
    ("auth_addr", "addr"),
];

/// Names that fit many tables, so they do not show which table was meant.
const COMMON: [&str; 4] = ["enabled", "path", "certificate", "key"];

/// A deprecated key, and its replacement.
const DEPRECATED: [(&str, &str); 1] = [("auth_server", "addr")];

/// One table: its path (empty for the top level), the keys that the program reads, and the unknown keys in the file.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) table: &'static str,
    pub(super) known: Vec<&'static str>,
    pub(super) unknown: Vec<String>,
}

/// The key that an unknown key was probably meant to be.
struct Meant {
    table: &'static str,
    key: &'static str,
}

/// Adds the misspelt key to the problem of each missing key, and returns a warning for every other unknown key.
pub(super) fn explain(tables: &[Asked], lines: &Lines, problems: &mut [Problem]) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for asked in tables {
        for key in &asked.unknown {
            let path = path(asked.table, key);
            let line = lines.of(&path);
            let meant = meant(tables, asked, key);
            let explained = match &meant {
                Some(meant) => explain_missing(meant, asked, key, line, problems),
                None => false,
            };
            if explained {
                continue;
            }
            let hint = match meant {
                Some(meant) if meant.table == asked.table => hint_with!("Did you mean {}?", meant.key),
                Some(meant) => hint_with!("Move it to the table [{}]", meant.table),
                None => String::new(),
            };
            let shown = self::path(asked.table, &shown::key(key));
            warnings.push(Problem {
                line,
                ..Problem::new(shown, "unknown key, ignored", hint)
            });
        }
    }
    warnings.sort_by_key(|warning| warning.line);
    warnings
}

/// Finds the key that an unknown one stands for: a key of another table with the same name, or a similar key of its own
/// table.
fn meant(tables: &[Asked], asked: &Asked, key: &str) -> Option<Meant> {
    let lower = key.to_lowercase();
    let elsewhere = tables
        .iter()
        .filter(|table| !table.table.is_empty() && table.table != asked.table)
        .filter(|_| !COMMON.contains(&lower.as_str()))
        .find_map(|table| {
            let known = table.known.iter().find(|known| **known == lower)?;
            Some(Meant {
                table: table.table,
                key: known,
            })
        });
    let other = OTHER_NAMES
        .iter()
        .find(|(other, _)| *other == lower)
        .map(|(_, ours)| *ours);
    let other = other.filter(|ours| asked.known.contains(ours));
    let here = other.or_else(|| {
        nearest(key, asked.known.iter().copied())
            .and_then(|near| asked.known.iter().find(|known| **known == near).copied())
    });
    let here = here.map(|key| {
        let instead = DEPRECATED.iter().find(|(old, _)| *old == key);
        Meant {
            table: asked.table,
            key: instead.map_or(key, |(_, new)| *new),
        }
    });
    elsewhere.or(here)
}

/// Adds the place of the misspelt key to the problem of the missing key. Returns whether there is such a problem.
fn explain_missing(meant: &Meant, asked: &Asked, key: &str, line: Option<usize>, problems: &mut [Problem]) -> bool {
    let path = path(meant.table, meant.key);
    let is_table = meant.table.is_empty();
    let names = |problem: &Problem| {
        let of_key = problem.key == path || problem.key == meant.table && problem.message.contains(meant.key);
        of_key || is_table && problem.key.starts_with(&format!("{path}."))
    };
    let is_missing = |problem: &Problem| {
        ["missing", "no credentials"]
            .iter()
            .any(|word| problem.message.contains(word))
    };
    let found = problems
        .iter_mut()
        .find(|problem| names(problem) && is_missing(problem));
    let Some(problem) = found else {
        return false;
    };
    let written = match (asked.table.is_empty(), shown::key(key)) {
        (true, key) if is_table => format!("[{key}]"),
        (_, key) => key,
    };
    let place = line.map_or_else(|| "the file".to_owned(), |line| format!("line {line}"));
    let question = if meant.table == asked.table && is_table {
        format!("did you mean [{}]?", meant.key)
    } else if meant.table == asked.table {
        format!("did you mean {}?", meant.key)
    } else {
        format!("it belongs under [{}]", meant.table)
    };
    problem.message = format!("{} ({place} has {written}: {question})", problem.message);
    true
}

fn path(table: &str, key: &str) -> String {
    if table.is_empty() {
        key.to_owned()
    } else {
        format!("{table}.{key}")
    }
}
