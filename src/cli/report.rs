//! Reports errors on stderr and in the log.

use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;

use tracing::error;

use crate::cli::output::complain;
use crate::config::{LogFormat, LogOutput, LogSettings, Problems};
use crate::daemon::ReviewPortError;
use crate::msteams;
use crate::telemetry;
use crate::teleport;
use crate::visible;

/// `EX_CONFIG` of `sysexits.h`; service managers do not restart after it.
const WRONG_CONFIGURATION: u8 = 78;

/// The status of every other failure.
const FAILED: u8 = 1;

/// A failure whose details are already on stdout or stderr.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(pub(super) String);

/// A failure of a command, with a hint.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Hinted {
    pub(super) what: String,
    pub(super) hint: &'static str,
}

/// An error that is already in the log, and must not be printed to stderr as well.
#[derive(Debug, thiserror::Error)]
#[error("see the log")]
pub(super) struct Logged {
    status: u8,
}

/// The report of an error that ends the program.
struct Report {
    error: String,
    tried: Vec<String>,
    hint: Option<String>,
    status: u8,
}

impl Report {
    fn of(error: &anyhow::Error) -> Self {
        let tried = error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<teleport::Error>())
            .flat_map(teleport::Error::tried);
        let hint = error.chain().find_map(|cause| {
            let teleport = cause.downcast_ref::<teleport::Error>().and_then(teleport::Error::hint);
            let microsoft = || cause.downcast_ref::<msteams::Error>().and_then(msteams::Error::hint);
            let machine = || cause.downcast_ref::<telemetry::Error>().map(telemetry::Error::hint);
            let port = || cause.downcast_ref::<ReviewPortError>().map(ReviewPortError::hint);
            let command = || cause.downcast_ref::<Hinted>().map(|error| error.hint);
            teleport
                .or_else(microsoft)
                .or_else(machine)
                .or_else(port)
                .or_else(command)
        });
        let is_written_wrong = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<Problems>()
                .is_some_and(|problems| !problems.may_pass())
        };
        let wrong = error.chain().any(is_written_wrong);
        let one_line = |text: &str| visible::line(text).into_owned();
        let text = format!("{error:#}");
        // Only a list of configuration problems has several lines; in other errors a line feed comes from external text.
        let listed = error.chain().any(<dyn std::error::Error>::is::<Problems>);
        Self {
            error: if listed { text } else { one_line(&text) },
            tried: tried.map(|way| one_line(way)).collect(),
            hint: hint.map(one_line),
            status: if wrong { WRONG_CONFIGURATION } else { FAILED },
        }
    }
}

/// Prints `ERROR: …` and, if there is a hint, `hint: …`. Returns the exit status.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(Logged { status }) = error.downcast_ref() {
        return ExitCode::from(*status);
    }
    let Report {
        error,
        tried,
        hint,
        status,
    } = Report::of(error);
    complain!("ERROR: {error}");
    for way in tried {
        complain!("tried: {way}");
    }
    if let Some(hint) = hint {
        complain!("hint: {hint}");
    }
    ExitCode::from(status)
}

/// Logs the error that ends the program, unless the log is text on stderr, where [`report`] prints the same. Keeps `report`
/// from printing text between lines of JSON.
pub(super) fn log(error: anyhow::Error, log: &LogSettings) -> anyhow::Error {
    if (&log.output, log.format) == (&LogOutput::Stderr, LogFormat::Text) {
        return error;
    }
    let Report {
        error: text,
        tried,
        hint,
        status,
    } = Report::of(&error);
    // The Go plugin's message.
    let tried = Some(tried.join("; ")).filter(|tried| !tried.is_empty());
    // Each problem of a configuration is logged before this line.
    let text = text.lines().next().unwrap_or_default();
    error!(error = text, tried, hint, exit = status, "Terminating with fatal error");
    let beside_json = match log.output {
        LogOutput::Stderr => true,
        // Many collectors merge the two streams.
        LogOutput::Stdout => log.format == LogFormat::Json && !stderr().is_terminal(),
        LogOutput::File(_) => false,
    };
    if beside_json { Logged { status }.into() } else { error }
}

/// Logs what is wrong with a configuration to where it sends the log, if that much of it is right.
pub(super) fn log_refusal(error: anyhow::Error) -> anyhow::Error {
    let problems: Option<&Problems> = error.downcast_ref();
    let Some((problems, settings)) = problems.and_then(|problems| Some((problems, problems.log.as_ref()?))) else {
        return error;
    };
    let on_stderr = (&settings.output, settings.format) == (&LogOutput::Stderr, LogFormat::Text);
    // If the log cannot be opened, stderr remains.
    if on_stderr || telemetry::start(settings).is_err() {
        return error;
    }
    telemetry::log_problems(problems);
    let settings = settings.clone();
    self::log(error, &settings)
}
