//! Reads values from TOML tables, and records problems and unknown keys.

use toml::{Table, Value};

use crate::config::shown::described;
use crate::config::unknown::Asked;
use crate::config::{LogSettings, Problem};

/// Problems and warnings found while reading. Problems make the configuration invalid, warnings do not.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// The keys that were read from each table, and the unknown keys in it.
    pub(super) asked: Vec<Asked>,
    /// The log settings, if `[log]` has no problem.
    pub(super) log: Option<LogSettings>,
}

/// One table of the file, and the keys that were read from it.
pub(super) struct Section<'a> {
    name: &'static str,
    table: Option<&'a Table>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Takes the table of that name, or records a problem if the value is not a table.
    pub(super) fn take(root: &mut Root<'a>, name: &'static str, notes: &mut Notes) -> Self {
        root.known.push(name);
        let table = match root.entry(name) {
            Some(Value::Table(table)) => Some(table),
            Some(other) => {
                let message = format!("expected a table, got {}", described(other));
                notes.problem(name, message, hint_with!("Write [{name}] on a separate line"));
                None
            }
            None => None,
        };
        Self {
            name,
            table,
            known: Vec::new(),
        }
    }

    /// Takes a table inside this one, such as `[msapi.endpoints]`; `path` is its full name.
    pub(super) fn inner(&mut self, key: &'static str, path: &'static str, notes: &mut Notes) -> Self {
        let table = match self.value(key) {
            Some(Value::Table(table)) => Some(table),
            Some(other) => {
                let message = format!("expected a table, got {}", described(other));
                notes.problem(path, message, hint_with!("Write [{path}] on a separate line"));
                None
            }
            None => None,
        };
        Self {
            name: path,
            table,
            known: Vec::new(),
        }
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.table.and_then(|table| table.get(key))
    }

    /// Returns the text of a key; an empty text counts as absent.
    pub(super) fn string(&mut self, key: &'static str, notes: &mut Notes) -> Option<&'a str> {
        let value = self.value(key)?;
        notes.text(&self.key(key), value)
    }

    pub(super) fn boolean(&mut self, key: &'static str, notes: &mut Notes) -> Option<bool> {
        let value = self.value(key)?;
        notes.boolean(&self.key(key), value)
    }

    /// Records every key that was not read.
    pub(super) fn finish(self, notes: &mut Notes) {
        let keys = self.table.into_iter().flat_map(Table::keys);
        let unknown = keys.filter(|key| !self.known.contains(&key.as_str())).cloned();
        notes.asked.push(Asked {
            table: self.name,
            unknown: unknown.collect(),
            known: self.known,
        });
    }
}

/// The file's top level.
pub(super) struct Root<'a> {
    table: &'a Table,
    known: Vec<&'static str>,
}

impl<'a> Root<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Self {
            table,
            known: Vec::new(),
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str, notes: &mut Notes) -> Option<bool> {
        self.known.push(key);
        notes.boolean(key, self.table.get(key)?)
    }

    /// Returns the text of a top-level key; an empty text counts as absent.
    pub(super) fn string(&mut self, key: &'static str, notes: &mut Notes) -> Option<&'a str> {
        self.known.push(key);
        notes.text(key, self.table.get(key)?)
    }

    /// Records every top-level key that was not read.
    pub(super) fn finish(self, notes: &mut Notes) {
        let is_known = |key: &str| self.known.iter().any(|known| *known == key || same_section(known, key));
        let unknown = self.table.keys().filter(|key| !is_known(key)).cloned();
        notes.asked.push(Asked {
            table: "",
            unknown: unknown.collect(),
            known: self.known,
        });
    }

    fn entry(&self, name: &str) -> Option<&'a Value> {
        let exact = self.table.get(name);
        exact.or_else(|| {
            self.table
                .iter()
                .find(|(key, _)| same_section(name, key))
                .map(|(_, value)| value)
        })
    }
}

/// Returns whether a key is another spelling of a table. The Go plugin also reads `[Teleport]`, `[TELEPORT]`, `[Log]` and
/// `[LOG]`, and no others.
fn same_section(name: &str, written: &str) -> bool {
    match name {
        "teleport" => ["Teleport", "TELEPORT"].contains(&written),
        "log" => ["Log", "LOG"].contains(&written),
        _ => false,
    }
}

impl Notes {
    pub(super) fn problem(&mut self, key: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(key, message, hint));
    }

    pub(super) fn warning(&mut self, key: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Problem::new(key, message, hint));
    }

    /// Returns a value as text, or records a problem; an empty text counts as absent.
    fn text<'a>(&mut self, key: &str, value: &'a Value) -> Option<&'a str> {
        if let Value::String(text) = value {
            return Some(text.trim()).filter(|text| !text.is_empty());
        }
        let message = format!("expected a string, got {}", described(value));
        self.problem(key, message, hint!("Put it in double quotes"));
        None
    }

    /// Returns a value as a boolean, or records a problem.
    fn boolean(&mut self, key: &str, value: &Value) -> Option<bool> {
        if let Value::Boolean(value) = value {
            return Some(*value);
        }
        let message = format!("expected true or false, got {}", described(value));
        self.problem(key, message, hint!("Write true or false without quotes"));
        None
    }
}
