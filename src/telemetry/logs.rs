//! Log lines: where they go, which, and in what form.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{LogFormat, LogOutput, LogSettings};

/// Where log lines go; clones are the same place.
#[derive(Clone, Debug)]
pub struct Log(Option<LogFile>);

#[derive(Clone, Debug)]
struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Log {
    /// Opens the file again, after somebody has moved it away. Tells whether there is a file.
    ///
    /// # Errors
    /// The file cannot be opened; lines go on to the old one.
    pub fn reopen(&self) -> anyhow::Result<bool> {
        let Some(LogFile { path, file }) = &self.0 else {
            return Ok(false);
        };
        let opened = open(path)?;
        *file.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(true)
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("could not open the log file {}", path.display()))
}

/// Writes a line while nobody exchanges the file.
struct Line<'a>(MutexGuard<'a, File>);

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns what decides which lines are written: the severity, and the levels of single parts if there are any.
fn filter(severity: Level, filters: Option<&str>) -> anyhow::Result<EnvFilter> {
    // Libraries speak only where something is wrong; at trace level everything does.
    let libraries = if severity == Level::TRACE { "trace" } else { "warn" };
    let mut filter = EnvFilter::new(format!("{libraries},teleport_msteams={severity}"));
    for part in filters.unwrap_or_default().split(',').map(str::trim) {
        if !part.is_empty() {
            let directive = part.parse::<Directive>().with_context(|| {
                format!("could not read {part:?} in RUST_LOG; expected such as teleport_msteams::msteams=trace")
            })?;
            filter = filter.add_directive(directive);
        }
    }
    Ok(filter)
}

/// Sends log lines to where the settings say, from now until the end of the process.
///
/// # Errors
/// The file cannot be opened, or logging was started before.
pub fn start(settings: &LogSettings) -> anyhow::Result<Log> {
    let LogSettings {
        output,
        severity,
        format,
        filters,
    } = settings;
    let filter = filter(*severity, filters.as_deref())?;
    let mut log = Log(None);
    let (writer, colours) = match output {
        LogOutput::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
        LogOutput::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogOutput::File(path) => {
            let file = LogFile {
                path: path.clone(),
                file: Arc::new(Mutex::new(open(path)?)),
            };
            log = Log(Some(file.clone()));
            (BoxMakeWriter::new(file), false)
        }
    };
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false);
    let started = match format {
        LogFormat::Text => builder.compact().try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("could not start logging: {error}"))?;
    Ok(log)
}
