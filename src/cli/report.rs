//! How a failure is told.

use std::process::ExitCode;

use crate::cli::output::complain;
use crate::config::Problems;
use crate::msteams;
use crate::teleport;

/// `EX_CONFIG` of `sysexits.h`; a service manager does not restart after it.
const WRONG_CONFIGURATION: u8 = 78;

/// Only that something failed: what it was stands on stdout already, or in lines of its own on stderr.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(pub(super) String);

/// Prints `ERROR: what: why` and, where something helps, `hint: what to do`.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    complain!("ERROR: {error:#}");
    let ways = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<teleport::Error>())
        .flat_map(teleport::Error::tried);
    for way in ways {
        complain!("tried: {way}");
    }
    let hint = error.chain().find_map(|cause| {
        let teleport = cause.downcast_ref::<teleport::Error>().and_then(teleport::Error::hint);
        teleport.or_else(|| cause.downcast_ref::<msteams::Error>().and_then(msteams::Error::hint))
    });
    if let Some(hint) = hint {
        complain!("hint: {hint}");
    }
    let written_wrong = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<Problems>()
            .is_some_and(|problems| !problems.may_pass())
    };
    if error.chain().any(written_wrong) {
        return ExitCode::from(WRONG_CONFIGURATION);
    }
    ExitCode::FAILURE
}
