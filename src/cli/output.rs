//! The only way to stdout and stderr.
//!
//! Architecture Invariant: a reader that went away or a full disk is remembered, never a panic; [`finish`] reports it once.

use std::fmt;
use std::io::{self, ErrorKind, Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use crate::visible;

/// The first failure of stdout; nothing is written there after it.
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

/// Escapes what a terminal would act on: texts of files and of services are part of many lines.
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

/// Prints a line to stderr. There is no place to report that it could not be written.
pub(super) fn complaint(text: fmt::Arguments<'_>) {
    raw_complaint(&safe(&text.to_string()));
}

/// Prints lines to stderr that have colours.
pub(super) fn raw_complaint(text: &str) {
    let _ = stderr().write_all(format!("{text}\n").as_bytes());
}

/// Remembers why something could not be written to stdout.
pub(super) fn remember(written: io::Result<()>) {
    if let Err(error) = written {
        FAILURE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
}

/// Writes what is left, and returns the status of the program: a failure if part of the output is lost, but for a reader
/// that has enough.
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
