//! How a failure is told.

use std::process::ExitCode;

use crate::cli::output::complain;
use crate::config::Problems;
use crate::msteams;
use crate::telemetry;
use crate::teleport;
use crate::visible;

/// `EX_CONFIG` of `sysexits.h`; a service manager does not restart after it.
const WRONG_CONFIGURATION: u8 = 78;

/// Only that something failed: what it was stands on stdout already, or in lines of its own on stderr.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(pub(super) String);

/// Prints `ERROR: what: why` and, where something helps, `hint: what to do`.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    // Only the list of a configuration's problems has several lines; in other errors a line feed comes from outside.
    let text = format!("{error:#}");
    let wrong = error.chain().any(<dyn std::error::Error>::is::<Problems>);
    let text = if wrong {
        visible::lines(&text)
    } else {
        visible::line(&text)
    };
    complain!("ERROR: {text}");
    let ways = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<teleport::Error>())
        .flat_map(teleport::Error::tried);
    for way in ways {
        complain!("tried: {}", visible::line(way));
    }
    let hint = error.chain().find_map(|cause| {
        let teleport = cause.downcast_ref::<teleport::Error>().and_then(teleport::Error::hint);
        let microsoft = || cause.downcast_ref::<msteams::Error>().and_then(msteams::Error::hint);
        let machine = || cause.downcast_ref::<telemetry::Error>().map(telemetry::Error::hint);
        teleport.or_else(microsoft).or_else(machine)
    });
    if let Some(hint) = hint {
        complain!("hint: {}", visible::line(hint));
    }
    if wrong {
        return ExitCode::from(WRONG_CONFIGURATION);
    }
    ExitCode::FAILURE
}
