//! The log of the process: it is started once, can change while the program runs, and is written out before the exit.

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

/// The filter of log lines.
type Filter = reload::Layer<EnvFilter, Registry>;

/// The longest wait for the last lines at the exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest wait for the lines of a replaced output, so that lines in a reopened file keep their order.
const REPLACE_TIMEOUT: Duration = Duration::from_millis(100);

/// The current queue. Like the subscriber of `tracing` it belongs to the process, so that every exit path can wait for it.
static QUEUE: Mutex<Option<Arc<Queue>>> = Mutex::new(None);

/// The dropped lines of all queues of the process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The log of the process.
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    printer: reload::Handle<Printer, Layered<Filter, Registry>>,
    current: Mutex<LogSettings>,
}

/// Waits until all log lines are written, for a second at most: the reader may have stopped reading.
pub fn flush() {
    let queue = queue_in_use().clone();
    if let Some(queue) = queue {
        queue.flush(EXIT_TIMEOUT);
    }
}

/// Returns the number of dropped lines.
pub(in crate::telemetry) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

fn queue_in_use() -> MutexGuard<'static, Option<Arc<Queue>>> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// Reopens the file, which may have been moved by log rotation.
    ///
    /// # Errors
    /// The file cannot be opened; the log continues in the old one.
    pub fn reopen(&self) -> anyhow::Result<()> {
        let current = self.current().clone();
        self.follow(&current)
    }

    /// Applies settings from the next line on. A file is always reopened.
    ///
    /// # Errors
    /// The file cannot be opened; nothing was changed.
    pub fn follow(&self, settings: &LogSettings) -> anyhow::Result<()> {
        let filter = filter(settings.severity, settings.filters.as_deref())?;
        let mut current = self.current();
        let old = queue_in_use().clone();
        // A second thread would wait for the same reader.
        let kept = old
            .clone()
            .filter(|_| keeps_its_place(&current.output, &settings.output));
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
        *queue_in_use() = Some(new);
        if let Some(old) = replaced {
            old.close();
        }
        *current = settings.clone();
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, LogSettings> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts logging with these settings.
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
    *queue_in_use() = Some(queue);
    Ok(Log {
        filter,
        printer,
        current: Mutex::new(settings.clone()),
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

/// Returns whether the output is the same stream of the process. A file is always reopened, since it may have been moved.
fn keeps_its_place(old: &LogOutput, new: &LogOutput) -> bool {
    old == new && !matches!(new, LogOutput::File(_))
}

/// Returns the filter: the severity, and the levels of single modules from `RUST_LOG`.
fn filter(severity: Level, filters: Option<&str>) -> anyhow::Result<EnvFilter> {
    // Libraries log warnings and errors only, except at trace level.
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
