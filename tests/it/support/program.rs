//! The built program, as a service manager and a user at a terminal start it.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::daemon::Log;
use crate::support::secrets;

const PATIENCE: Duration = Duration::from_secs(20);

/// A command line that is not started yet.
pub(crate) struct Program(Command);

/// The running program. Its output is kept, and checked at the end.
pub(crate) struct Running {
    child: Child,
    stdout: Log,
    stderr: Log,
    readers: Vec<JoinHandle<()>>,
}

/// How the program ended, and what it wrote.
pub(crate) type Ended = (Option<i32>, String, String);

impl Program {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_teleport-msteams")), arguments)
    }

    /// A program that may have this many files and sockets open.
    pub(crate) fn with_open_files(most: u32, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_teleport-msteams")]);
        Self::of(command, arguments)
    }

    fn of(mut command: Command, arguments: &[&str]) -> Self {
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self(command)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Reads stdin from a file.
    pub(crate) fn stdin_from(mut self, file: std::fs::File) -> Self {
        self.0.stdin(file);
        self
    }

    /// Sends stderr there, so that it is not checked.
    pub(crate) fn stderr_to(mut self, file: std::fs::File) -> Self {
        self.0.stderr(file);
        self
    }

    /// Sends stdout there, where it cannot be checked for secrets.
    pub(crate) fn stdout_to(mut self, target: impl Into<Stdio>) -> Self {
        self.0.stdout(target);
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let mut child = self.0.spawn().unwrap();
        let (stdout, stderr) = (Log::new(), Log::new());
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            readers.push(beside(read(pipe, stdout.clone())));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(beside(read(pipe, stderr.clone())));
        }
        Running {
            child,
            stdout,
            stderr,
            readers,
        }
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> Ended {
        self.start().ended().await
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is not the daemon")]
fn beside(reading: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(reading)
}

async fn read(mut pipe: impl AsyncRead + Send + Unpin, mut log: Log) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut bytes).await {
        std::io::Write::write_all(&mut log, &bytes[..length]).unwrap();
    }
}

impl Running {
    /// Waits until a line on stderr has this text.
    pub(crate) async fn says(&self, text: &str) {
        self.says_times(1, text).await;
    }

    /// Waits until this many lines on stderr have this text.
    pub(crate) async fn says_times(&self, times: usize, text: &str) {
        let said = timeout(PATIENCE, self.stderr.until(|log| log.matches(text).count() >= times)).await;
        assert!(
            said.is_ok(),
            "it never said {text:?} {times} times:\n{}",
            self.stderr.text()
        );
    }

    /// Waits until its stderr matches.
    pub(crate) async fn until(&self, what: &str, good: impl Fn(&str) -> bool) {
        let waited = timeout(PATIENCE, self.stderr.until(good)).await;
        assert!(waited.is_ok(), "it never came to {what}:\n{}", self.stderr.text());
    }

    /// Returns the process ID.
    pub(crate) fn id(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Returns what it wrote to stderr up to now.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub(crate) async fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.id()]).status().await.unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end:\n{}", self.stderr.text()));
        for reader in self.readers.drain(..) {
            reader.await.unwrap();
        }
        (status.unwrap().code(), self.stdout.text(), self.stderr.text())
    }

    /// Waits for its end, and returns the status.
    pub(crate) async fn status(self) -> Option<i32> {
        self.ended().await.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        secrets::check("stdout of the program", &self.stdout.text());
        secrets::check_log("stderr of the program", &self.stderr.text());
    }
}
