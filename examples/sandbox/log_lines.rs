//! The daemon's last log lines, for the page.
//!
//! Architecture Invariant: a bounded buffer of text. It knows nothing about the content of the lines.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde::Serialize;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// The number of lines that the page shows.
const CAPACITY: usize = 400;

/// A cloneable handle to the lines; also the writer of the log.
#[derive(Clone)]
pub struct LogLines(Arc<Shared>);

struct Shared {
    lines: Mutex<VecDeque<Line>>,
    /// The total number of lines written.
    written: watch::Sender<u64>,
}

/// One line and its time, in milliseconds since 1970.
#[derive(Clone, Serialize)]
pub struct Line {
    pub at: i64,
    pub text: String,
}

impl LogLines {
    /// Starts to collect the log of this process.
    pub fn start() -> anyhow::Result<Self> {
        let lines = Self(Arc::new(Shared {
            lines: Mutex::default(),
            written: watch::Sender::new(0),
        }));
        let writer = lines.clone();
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("warn,teleport_msteams=info"))
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .compact()
            .try_init()
            .map_err(|error| anyhow::anyhow!("could not start logging: {error}"))?;
        Ok(lines)
    }

    /// Returns a receiver for the total number of lines written.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.written.subscribe()
    }

    /// Returns the lines after the first `seen` ones that are still in the buffer, and the total number.
    pub fn since(&self, seen: u64) -> (Vec<Line>, u64) {
        let lines = self.lines();
        let written = *self.0.written.borrow();
        let wanted = usize::try_from(written.saturating_sub(seen)).unwrap_or(usize::MAX);
        let known = lines.len().saturating_sub(wanted);
        (lines.iter().skip(known).cloned().collect(), written)
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for LogLines {
    /// Takes a whole event, which the formatter writes in one call.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let at = teleport_msteams::clock::now().as_millisecond();
        let text = String::from_utf8_lossy(bytes);
        let mut lines = self.lines();
        for line in text.lines() {
            let text = line.to_owned();
            lines.push_back(Line { at, text });
            if lines.len() > CAPACITY {
                lines.pop_front();
            }
            // Under the lock, so that `since` never sees one without the other.
            self.0.written.send_modify(|written| *written += 1);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
