//! Log lines: where they go, which, and in what form. All three may change while the program runs.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tracing::Level;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogFormat, LogOutput, LogSettings};

/// Decides which lines are written.
type Filter = reload::Layer<EnvFilter, Registry>;

/// Writes the lines that are left.
type Printer = Box<dyn Layer<Layered<Filter, Registry>> + Send + Sync>;

/// The log of the process, and the means to change it.
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    printer: reload::Handle<Printer, Layered<Filter, Registry>>,
    in_force: Mutex<LogSettings>,
}

impl Log {
    /// Opens the file again, after somebody has moved it away.
    ///
    /// # Errors
    /// The file cannot be opened; lines go on to the old one.
    pub fn reopen(&self) -> anyhow::Result<()> {
        let in_force = self.in_force().clone();
        self.follow(&in_force)
    }

    /// Does as the settings say from the next line on; a file is opened again in any case.
    ///
    /// # Errors
    /// The file cannot be opened; nothing was changed.
    pub fn follow(&self, settings: &LogSettings) -> anyhow::Result<()> {
        let (filter, printer) = parts(settings)?;
        self.printer.reload(printer).context("could not change the log")?;
        self.filter
            .reload(filter)
            .context("could not change the severity of the log")?;
        *self.in_force() = settings.clone();
        Ok(())
    }

    fn in_force(&self) -> MutexGuard<'_, LogSettings> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends log lines to where the settings say, from now on.
///
/// # Errors
/// The file cannot be opened, or logging was started before.
pub fn start(settings: &LogSettings) -> anyhow::Result<Log> {
    let (filter, printer) = parts(settings)?;
    let (filter_layer, filter) = reload::Layer::new(filter);
    let (printer_layer, printer) = reload::Layer::new(printer);
    tracing_subscriber::registry()
        .with(filter_layer)
        .with(printer_layer)
        .try_init()
        .context("could not start logging")?;
    Ok(Log {
        filter,
        printer,
        in_force: Mutex::new(settings.clone()),
    })
}

fn parts(settings: &LogSettings) -> anyhow::Result<(EnvFilter, Printer)> {
    let LogSettings {
        output,
        severity,
        format,
        filters,
    } = settings;
    Ok((filter(*severity, filters.as_deref())?, printer(output, *format)?))
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

fn printer(output: &LogOutput, format: LogFormat) -> anyhow::Result<Printer> {
    let (writer, colours) = match output {
        LogOutput::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
        LogOutput::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogOutput::File(path) => (BoxMakeWriter::new(LogFile(Arc::new(Mutex::new(open(path)?)))), false),
    };
    let layer = fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false)
        // A full disk must not end the daemon: whoever cannot write a line would complain on stderr, and panic if that is
        // full as well.
        .log_internal_errors(false);
    Ok(match format {
        LogFormat::Text => layer.compact().boxed(),
        // A span that was begun while lines were text has no fields in JSON, and could not be told.
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    })
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("could not open the log file {}", path.display()))
}

#[derive(Clone, Debug)]
struct LogFile(Arc<Mutex<File>>);

/// Writes a line while nobody else does.
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
        Line(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
