//! The real daemon, on its own runtime so that it can be killed.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use teleport_msteams::config::{Loaded, Problem, Problems, Settings};
use teleport_msteams::daemon;
use teleport_msteams::daemon::Reloads;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::secrets;
use crate::support::warnings::{is_warning, sentence};

/// A running daemon.
pub(crate) struct Daemon {
    runtime: Option<Runtime>,
    ended: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
    log: Log,
    /// The messages for which the test has waited.
    awaited: Arc<Mutex<Vec<String>>>,
    /// How many bytes of the log the test has read: everything up to the newest line for which it has waited.
    read: Mutex<usize>,
    /// The configuration that the next reload finds, and the trigger of a reload.
    next: Arc<Mutex<Option<anyhow::Result<Loaded>>>>,
    reload: mpsc::Sender<()>,
}

/// The log of a daemon, and what the lines say for which the test has waited.
pub(super) struct Heard {
    pub(super) log: Log,
    awaited: Arc<Mutex<Vec<String>>>,
}

/// The lines of one daemon.
#[derive(Clone)]
pub(crate) struct Log {
    bytes: Arc<Mutex<Vec<u8>>>,
    written: watch::Sender<()>,
}

impl Heard {
    pub(super) fn awaited(&self) -> Vec<String> {
        self.awaited.lock().unwrap().clone()
    }
}

impl Daemon {
    pub(crate) fn start(settings: Settings) -> Self {
        let log = Log::new();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("warn,teleport_msteams=debug")
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        let dispatch = Dispatch::new(subscriber);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            // Each daemon's threads write into its own log, because tests run in parallel.
            .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&dispatch)))
            .build()
            .unwrap();
        let stop = CancellationToken::new();
        let next: Arc<Mutex<Option<anyhow::Result<Loaded>>>> = Arc::default();
        let found = Arc::clone(&next);
        let (reload, reloads) = Reloads::new(move || found.lock().unwrap().take().unwrap());
        let ended = runtime.spawn(daemon::run(settings, reloads, stop.clone()));
        Self {
            runtime: Some(runtime),
            ended,
            stop,
            log,
            awaited: Arc::default(),
            read: Mutex::default(),
            next,
            reload,
        }
    }

    /// Reloads its configuration, as SIGHUP does, and waits until it has.
    pub(crate) async fn reload(&self, found: Result<Loaded, Problems>) {
        let (good, said) = match &found {
            Ok(_) => (true, "Configuration reloaded".to_owned()),
            // The result comes first, then every problem.
            Err(problems) => (false, logged(problems.list.last().unwrap())),
        };
        let problems = found.as_ref().err().into_iter().flat_map(|problems| &problems.list);
        let problems: Vec<_> = problems.map(logged).collect();
        let times = || self.log().matches(&said).count();
        let before = times();
        *self.next.lock().unwrap() = Some(found.map_err(Into::into));
        self.reload.send(()).await.unwrap();
        let mut written = self.log.written.subscribe();
        let waiting = async {
            while times() == before {
                written.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "no reload, good: {good}\n{}", self.log());
        for problem in &problems {
            self.expects(problem);
            self.expects("Configuration not reloaded");
        }
    }

    /// Ends it as SIGKILL would: nothing is finished, nothing is recorded.
    pub(crate) fn kill(mut self) {
        self.end_runtime();
    }

    /// Ends it as SIGTERM would, and returns how it ended.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = (&mut self.ended).await.unwrap();
        self.end_runtime();
        ended
    }

    /// Waits until the daemon ends by itself.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.ended).await.unwrap()
    }

    pub(super) fn heard(&self) -> Heard {
        Heard {
            log: self.log.clone(),
            awaited: Arc::clone(&self.awaited),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_finished()
    }

    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until a line with this text was written.
    pub(crate) async fn says(&self, text: &str) {
        self.says_times(1, text).await;
    }

    /// Waits until this many lines with this text were written.
    pub(crate) async fn says_times(&self, times: usize, text: &str) {
        let what = format!("{text:?} {times} times");
        let place = |log: &str| log.match_indices(text).nth(times.saturating_sub(1)).map(|(at, _)| at);
        self.until(&what, |log| place(log).is_some()).await;
        self.expects(text);
        self.reads_to(place(&self.log()).unwrap_or_default());
    }

    /// Waits until a line with this text was written after every line for which the test has waited before.
    pub(crate) async fn says_next(&self, text: &str) {
        let read = *self.read.lock().unwrap();
        let place = |log: &str| log[read..].find(text).map(|at| read + at);
        self.until(&format!("{text:?} next"), |log| place(log).is_some()).await;
        self.expects(text);
        self.reads_to(place(&self.log()).unwrap());
    }

    /// Marks everything up to now as read.
    pub(super) fn skip(&self) {
        self.reads_to(self.log().trim_end().len());
    }

    /// Marks the line at this position, and everything before it, as read.
    fn reads_to(&self, place: usize) {
        let log = self.log();
        let end = log[place..].find('\n').map_or(log.len(), |at| place + at + 1);
        let mut read = self.read.lock().unwrap();
        *read = end.max(*read);
    }

    /// Counts the warnings with this text.
    pub(crate) fn warnings(&self, text: &str) -> usize {
        self.expects(text);
        let log = self.log();
        let warnings = log.lines().filter(|line| is_warning(line) && line.contains(text));
        warnings.count()
    }

    /// Expects the first line with this text, at any level and with any fields.
    fn expects(&self, text: &str) {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(text));
        let said = line.map(|line| sentence(line).to_owned());
        self.awaited.lock().unwrap().extend(said);
    }

    /// Waits until the log is as good.
    pub(crate) async fn until(&self, what: &str, good: impl Fn(&str) -> bool) {
        let mut written = self.log.written.subscribe();
        let waiting = async {
            while !good(&self.log()) {
                assert!(
                    !self.has_ended(),
                    "the daemon ended before it said {what}:\n{}",
                    self.log()
                );
                written.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "the daemon never said {what}:\n{}", self.log());
    }

    fn end_runtime(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end_runtime();
        secrets::check_log("the log of a daemon", &self.log());
    }
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Arc::default(),
            written: watch::Sender::new(()),
        }
    }

    /// Waits until the text matches.
    pub(crate) async fn until(&self, good: impl Fn(&str) -> bool) {
        let mut written = self.written.subscribe();
        while !good(&self.text()) {
            written.changed().await.unwrap();
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        self.written.send_replace(());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Returns how a problem of the configuration appears in a text log.
fn logged(problem: &Problem) -> String {
    format!("problem={:?}", problem.what())
}
