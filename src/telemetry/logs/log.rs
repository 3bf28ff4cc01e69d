//! The log of the process: started once, changed while the program runs, and written to the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tracing::Level;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::{LogOutput, LogSettings};
use crate::telemetry::logs::line::Style;
use crate::telemetry::logs::output::Output;
use crate::telemetry::logs::printer::Printer;
use crate::telemetry::logs::queue::Queue;

/// Decides which lines are written.
type Filter = reload::Layer<EnvFilter, Registry>;

/// Longest wait for the last lines at the end of the program.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest wait for the lines of an output that is replaced, so that a file that is opened again keeps its order.
const REPLACE_TIMEOUT: Duration = Duration::from_millis(100);

/// The queue in use. Like tracing's subscriber it belongs to the process, so that every exit path can wait for it.
static QUEUE: Mutex<Option<Arc<Queue>>> = Mutex::new(None);

/// Dropped lines of all queues of the process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The log of the process, and the means to change it.
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    printer: reload::Handle<Printer, Layered<Filter, Registry>>,
    in_force: Mutex<LogSettings>,
}

/// Waits until all log lines are written, for a second at most: the reader may have stopped reading.
pub fn flush() {
    let queue = current().clone();
    if let Some(queue) = queue {
        queue.flush(EXIT_TIMEOUT);
    }
}

/// Returns the number of lines that were logged and never written.
pub(in crate::telemetry) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

fn current() -> MutexGuard<'static, Option<Arc<Queue>>> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
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
        let filter = filter(settings.severity, settings.filters.as_deref())?;
        let mut in_force = self.in_force();
        let old = current().clone();
        // A second thread would wait for the same reader as the first one.
        let kept = old
            .clone()
            .filter(|_| keeps_its_place(&in_force.output, &settings.output));
        let printer = printer(settings, kept)?;
        let new = Arc::clone(&printer.queue);
        let replaced = old.filter(|old| !Arc::ptr_eq(old, &new));
        if let Some(old) = &replaced {
            old.flush(REPLACE_TIMEOUT);
        }
        self.printer.reload(printer).context("could not change the log")?;
        self.filter
            .reload(filter)
            .context("could not change the severity of the log")?;
        *current() = Some(new);
        if let Some(old) = replaced {
            old.close();
        }
        *in_force = settings.clone();
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
    let filter = filter(settings.severity, settings.filters.as_deref())?;
    let printer = printer(settings, None)?;
    let queue = Arc::clone(&printer.queue);
    let (filter_layer, filter) = reload::Layer::new(filter);
    let (printer_layer, printer) = reload::Layer::new(printer);
    tracing_subscriber::registry()
        .with(filter_layer)
        .with(printer_layer)
        .try_init()
        .context("could not start logging")?;
    *current() = Some(queue);
    Ok(Log {
        filter,
        printer,
        in_force: Mutex::new(settings.clone()),
    })
}

/// Opens the output, and starts the thread that writes there unless its queue is kept.
fn printer(settings: &LogSettings, kept: Option<Arc<Queue>>) -> anyhow::Result<Printer> {
    let Output { to, colours } = Output::open(&settings.output)?;
    let style = Style {
        format: settings.format,
        colours,
    };
    let queue = if let Some(queue) = kept {
        queue.restyle(style);
        queue
    } else {
        let queue = Arc::new(Queue::new(style, &DROPPED));
        queue.write_to(to).context("could not start the thread of the log")?;
        queue
    };
    Ok(Printer { style, queue })
}

/// A file is opened again, as it may have been moved away; the streams of the process stay.
fn keeps_its_place(old: &LogOutput, new: &LogOutput) -> bool {
    old == new && !matches!(new, LogOutput::File(_))
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
