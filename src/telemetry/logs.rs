//! Log lines: where they go, which, and in what form.

use std::fs::OpenOptions;
use std::io;
use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{LogFormat, LogOutput, LogSettings};

/// Sends log lines to where the settings say, from now until the end of the process.
///
/// # Errors
/// The file cannot be opened, or logging was started before.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let LogSettings {
        output,
        severity,
        format,
    } = settings;
    let (writer, colours) = match output {
        LogOutput::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
        LogOutput::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogOutput::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.with_context(|| format!("could not open the log file {}", path.display()))?;
            (BoxMakeWriter::new(Arc::new(file)), false)
        }
    };
    // Libraries speak only where something is wrong; at trace level everything does.
    let libraries = if *severity == tracing::Level::TRACE {
        "trace"
    } else {
        "warn"
    };
    let filter = EnvFilter::new(format!("{libraries},teleport_msteams={severity}"));
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false);
    let started = match format {
        LogFormat::Text => builder.compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("could not start logging: {error}"))
}
