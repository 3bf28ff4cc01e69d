//! Logs the problems of a configuration, in the same form at the start and at a reload.

use std::path::Path;

use tracing::{error, warn};

use crate::config::{Problem, Problems};

/// Logs each problem of a file, and then its unknown keys.
pub fn log_problems(problems: &Problems) {
    let file = problems.file.display().to_string();
    for problem in &problems.list {
        error!(
            file,
            problem = problem.what(),
            hint = problem.hint(),
            "Configuration problem"
        );
    }
    log_warnings(Some(&problems.file), &problems.unknown);
}

/// Logs the warnings about a configuration.
pub fn log_warnings(file: Option<&Path>, warnings: &[Problem]) {
    let file = file.map(|file| file.display().to_string());
    for warning in warnings {
        warn!(
            file,
            problem = warning.what(),
            hint = warning.hint(),
            "Configuration warning"
        );
    }
}
