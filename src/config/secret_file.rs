//! Files that hold a part of the credential, and why one cannot be used.

use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::config::Problem;
use crate::config::file::Notes;

/// Why a file cannot be used. Contains nothing of its content.
pub(super) struct Unusable {
    pub(super) message: String,
    pub(super) hint: String,
    /// The file may appear, or get its content, later.
    pub(super) may_pass: bool,
}

/// Reads a file of at most `limit` bytes. `what` is its usual content, for the messages.
pub(super) fn read(file: &Path, limit: u64, what: &str) -> Result<Vec<u8>, Unusable> {
    let unreadable = |error: std::io::Error| Unusable {
        message: format!("could not read {}: {error}", file.display()),
        hint: to_write(what),
        may_pass: error.kind() != ErrorKind::IsADirectory,
    };
    if fs::metadata(file).map_err(unreadable)?.len() > limit {
        let hint = hint_with!("Write {what} to this file, and nothing else");
        return Err(Unusable::of(file, "is too large", hint));
    }
    fs::read(file).map_err(unreadable)
}

/// Returns the hint for a file that is missing or empty.
pub(super) fn to_write(what: &str) -> String {
    hint_with!("Write {what} to this file, and allow the user of the daemon to read it")
}

impl Unusable {
    pub(super) fn of(file: &Path, message: impl Display, hint: impl Into<String>) -> Self {
        Self {
            message: format!("{} {message}", file.display()),
            hint: hint.into(),
            may_pass: false,
        }
    }

    /// Records it as a problem of a key.
    pub(super) fn report(self, key: String, notes: &mut Notes) {
        let Self {
            message,
            hint,
            may_pass,
        } = self;
        notes.problems.push(Problem {
            may_pass,
            ..Problem::new(key, message, hint)
        });
    }
}
