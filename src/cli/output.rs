//! Writes to stdout and stderr.
//!
//! Architecture Invariant: the only module that writes there. A closed pipe or a full disk never causes a panic; [`finish`] reports it
//! once.

use std::fmt;
use std::io::{self, ErrorKind, Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use crate::visible;

/// The first write error of stdout; nothing is written after it.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line to stdout.
macro_rules! say {
    ($($arguments:tt)*) => {
        $crate::cli::output::line(format_args!($($arguments)*))
    };
}

/// Prints a line to stderr.
macro_rules! complain {
    ($($arguments:tt)*) => {
        $crate::cli::output::complaint(format_args!($($arguments)*))
    };
}

pub(super) use {complain, say};

pub(super) fn line(text: fmt::Arguments<'_>) {
    bytes(format!("{}\n", safe(&text.to_string())).as_bytes());
}

/// Escapes control characters: many lines contain text from files and services.
fn safe(text: &str) -> String {
    let parts: Vec<_> = text.split('\t').map(visible::lines).collect();
    parts.join("\t")
}

/// Prints bytes to stdout.
pub(super) fn bytes(bytes: &[u8]) {
    let failed = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    if !failed {
        remember(stdout().write_all(bytes));
    }
}

/// Prints a line to stderr. A write error is ignored, because there is no place to report it.
pub(super) fn complaint(text: fmt::Arguments<'_>) {
    raw_complaint(&safe(&text.to_string()));
}

/// Prints lines with colours to stderr.
pub(super) fn raw_complaint(text: &str) {
    let _ = stderr().write_all(format!("{text}\n").as_bytes());
}

/// Keeps the first write error of stdout.
pub(super) fn remember(written: io::Result<()>) {
    if let Err(error) = written {
        FAILURE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
}

/// Flushes stdout, and returns the exit status: a failure if output was lost, except to a closed pipe.
pub(super) fn finish(status: ExitCode) -> ExitCode {
    remember(stdout().flush());
    let failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failure {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain!("ERROR: could not write to stdout: {error}");
            if status == ExitCode::SUCCESS {
                ExitCode::FAILURE
            } else {
                status
            }
        }
        Some(_) | None => status,
    }
}
