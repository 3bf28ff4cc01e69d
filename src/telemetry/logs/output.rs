//! Where log lines are written.

use std::fs;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::config::LogOutput;
use crate::telemetry::error::Error;

/// The log names users and requests: only its owner and group may read it.
const MODE: u32 = 0o640;

/// An open output.
pub(super) struct Output {
    pub(super) to: Box<dyn Write + Send>,
    /// The output is a terminal, which shows colours.
    pub(super) colours: bool,
}

impl Output {
    /// Opens what the settings say. A file is appended to.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(super) fn open(output: &LogOutput) -> Result<Self, Error> {
        Ok(match output {
            LogOutput::Stderr => Self {
                to: stream(io::stderr()),
                colours: io::stderr().is_terminal(),
            },
            LogOutput::Stdout => Self {
                to: stream(io::stdout()),
                colours: io::stdout().is_terminal(),
            },
            LogOutput::File(path) => Self {
                to: Box::new(open(path)?),
                colours: false,
            },
        })
    }
}

/// Returns a stream of the process without its lock, which a write to a stalled reader would hold, and without its buffer,
/// in which lines would be lost without being counted.
fn stream(of: impl AsFd + Write + Send + 'static) -> Box<dyn Write + Send> {
    match of.as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(File::from(own)),
        Err(_) => Box::new(of),
    }
}

fn open(path: &Path) -> Result<File, Error> {
    // Opening a named pipe for writing alone would wait for its reader.
    let is_pipe = fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo());
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).read(is_pipe).mode(MODE).open(path);
    file.map_err(|cause| Error::log_file(path, cause))
}
