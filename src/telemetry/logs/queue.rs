//! Lines that wait for the thread that writes them.
//!
//! A stalled reader or disk costs log lines, and never blocks a task that logs.

use std::io;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Level;

use crate::clock;
use crate::telemetry::logs::line::{LogLine, Style};

/// Bytes that may wait; as many more may be on their way to the reader.
const ROOM: usize = 1 << 20;

/// A buffer that a burst has made larger is given back.
const KEPT: usize = 64 << 10;

/// Lines that wait, in their order.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Counts lines that were dropped, here or on their way to the reader.
    dropped: &'static AtomicU64,
}

#[derive(Debug)]
struct State {
    text: Vec<u8>,
    /// Lines that found no room behind those that wait.
    dropped: u64,
    /// Something was taken and isn't written yet.
    writing: bool,
    closed: bool,
    style: Style,
}

impl Queue {
    /// Returns an empty queue, which reports in this style what was dropped.
    pub(super) fn new(style: Style, dropped: &'static AtomicU64) -> Self {
        Self {
            state: Mutex::new(State {
                text: Vec::new(),
                dropped: 0,
                writing: false,
                closed: false,
                style,
            }),
            changed: Condvar::new(),
            dropped,
        }
    }

    /// Starts the thread that writes what is pushed, until the queue is closed.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub(super) fn write_to(self: &Arc<Self>, output: impl Write + Send + 'static) -> io::Result<()> {
        let queue = Arc::clone(self);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || queue.write_all(output))
            .map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, or counts it as dropped if there's no room.
    pub(super) fn push(&self, line: &str) {
        let mut state = self.state();
        if state.text.len() + line.len() > ROOM {
            state.dropped += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.text.extend_from_slice(line.as_bytes());
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn restyle(&self, style: Style) {
        self.state().style = style;
    }

    /// Lets the thread end once everything is written.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Waits until everything is written, but no longer than this.
    pub(super) fn flush(&self, longest: Duration) {
        let waiting = |state: &mut State| state.writing || !state.text.is_empty();
        drop(
            self.changed
                .wait_timeout_while(self.state(), longest, waiting)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn write_all(&self, output: impl Write) {
        let mut output = Output::new(output);
        let mut text = Vec::new();
        while let Some((dropped, style)) = self.take(&mut text) {
            let lost = output.write(&text);
            self.dropped.fetch_add(lost, Ordering::Relaxed);
            // What was dropped had no room behind what was just written.
            output.dropped += dropped;
            output.report(style);
            if text.capacity() > KEPT {
                text = Vec::new();
            }
        }
    }

    /// Waits for something to write, and puts it in place of what was written before. `None` ends the thread.
    fn take(&self, text: &mut Vec<u8>) -> Option<(u64, Style)> {
        text.clear();
        let mut state = self.state();
        state.writing = false;
        self.changed.notify_all();
        let idle = |state: &mut State| state.text.is_empty() && state.dropped == 0 && !state.closed;
        let mut state = self
            .changed
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if state.text.is_empty() && state.dropped == 0 {
            return None;
        }
        std::mem::swap(&mut state.text, text);
        state.writing = true;
        Some((std::mem::take(&mut state.dropped), state.style))
    }

    #[cfg(test)]
    pub(super) fn take_all(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.state().text)).unwrap()
    }
}

/// Where lines are written, and what didn't get there.
struct Output<W> {
    to: W,
    /// Dropped and not reported yet.
    dropped: u64,
    /// The last line that was begun has no end.
    cut: bool,
}

impl<W: Write> Output<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            dropped: 0,
            cut: false,
        }
    }

    /// Writes whole lines as far as the reader or the disk takes them; returns how many are lost.
    fn write(&mut self, lines: &[u8]) -> u64 {
        let left = self.put(lines);
        let lost = left.split(|byte| *byte == b'\n').count() - 1;
        let lost = u64::try_from(lost).unwrap_or(u64::MAX);
        self.dropped = self.dropped.saturating_add(lost);
        lost
    }

    /// Writes a line about what was dropped, once there's room for it.
    fn report(&mut self, style: Style) {
        if self.dropped == 0 {
            return;
        }
        let mut line = LogLine::new(style, Level::WARN, clock::now());
        line.string(
            "message",
            "Log lines were dropped because the reader or the disk did not accept them",
        );
        line.plain("lines", self.dropped);
        if self.put(line.finish().as_bytes()).is_empty() {
            self.dropped = 0;
        }
    }

    /// Returns what could not be written.
    fn put<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        if self.cut {
            if !self.put_raw(b"\n").is_empty() {
                return text;
            }
            self.cut = false;
        }
        let left = self.put_raw(text);
        let written = text.len() - left.len();
        self.cut = !left.is_empty() && written > 0 && text[written - 1] != b'\n';
        left
    }

    fn put_raw<'a>(&mut self, mut text: &'a [u8]) -> &'a [u8] {
        while !text.is_empty() {
            match self.to.write(text) {
                Ok(0) => break,
                Ok(written) => text = &text[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Nothing is buffered, unless the stream could not be opened a second time.
        let _ = self.to.flush();
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::config::LogFormat;

    const STYLE: Style = Style {
        format: LogFormat::Text,
        colours: false,
    };

    /// A reader that accepts bytes only as the test allows, and a copy of what it accepted.
    struct Reader {
        allowed: mpsc::Receiver<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without further orders it takes everything.
            let most = self.allowed.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.taken.lock().unwrap().extend_from_slice(&bytes[..most]);
            Ok(most)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Started = (
        Arc<Queue>,
        &'static AtomicU64,
        mpsc::Sender<io::Result<usize>>,
        Arc<Mutex<Vec<u8>>>,
    );

    fn start() -> Started {
        let dropped: &'static AtomicU64 = Box::leak(Box::default());
        let queue = Arc::new(Queue::new(STYLE, dropped));
        let (allow, allowed) = mpsc::channel();
        let taken: Arc<Mutex<Vec<u8>>> = Arc::default();
        let reader = Reader {
            allowed,
            taken: Arc::clone(&taken),
        };
        queue.write_to(reader).unwrap();
        (queue, dropped, allow, taken)
    }

    fn text(taken: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(taken.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_reader_that_stops_costs_lines_that_are_counted_and_never_blocks() {
        let (queue, dropped, allow, taken) = start();
        let line = format!("{}\n", "x".repeat(1_023));
        queue.push(&line);
        while !queue.state().writing {
            thread::yield_now();
        }
        let begun = Instant::now();
        for _ in 0..3_000 {
            queue.push(&line);
        }
        assert_eq!(queue.state().text.len() / line.len(), 1_024);
        let lost = dropped.load(Ordering::Relaxed);
        assert_eq!(lost, 3_000 - 1_024);
        queue.flush(Duration::from_millis(20));
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "logging waited for the reader"
        );
        drop(allow);
        queue.flush(Duration::from_secs(20));
        queue.push("after\n");
        queue.flush(Duration::from_secs(20));
        let text = text(&taken);
        let report =
            format!("WARN Log lines were dropped because the reader or the disk did not accept them lines={lost}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 1_024 + 2);
        assert!(lines[lines.len() - 2].ends_with(&report), "{}", lines[lines.len() - 2]);
        assert_eq!(lines.last(), Some(&"after"));
    }

    #[test]
    fn a_disk_that_was_full_costs_the_lines_that_did_not_fit_and_no_other_line_is_joined_to_them() {
        let (queue, dropped, allow, taken) = start();
        queue.push("first\nsecond\n");
        let full = || Err(io::ErrorKind::StorageFull.into());
        // Half of the second line, the report of its loss not at all.
        for order in [Ok(9), full(), full()] {
            allow.send(order).unwrap();
        }
        queue.flush(Duration::from_secs(20));
        assert_eq!(text(&taken), "first\nsec");
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        drop(allow);
        queue.push("third\n");
        queue.flush(Duration::from_secs(20));
        let text = text(&taken);
        assert!(text.starts_with("first\nsec\nthird\n"), "{text}");
        assert!(text.ends_with("lines=1\n"), "{text}");
    }

    #[test]
    fn a_queue_that_is_closed_is_written_to_its_end() {
        let (queue, _, allow, taken) = start();
        queue.push("last\n");
        queue.close();
        drop(allow);
        queue.flush(Duration::from_secs(20));
        assert_eq!(text(&taken), "last\n");
    }
}
