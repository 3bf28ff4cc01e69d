//! What is wrong with a configuration, said so that it can be mended.

use std::fmt;
use std::path::PathBuf;

use crate::config::LogSettings;

/// One fault: where it is, what it is, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key with its table, such as `teleport.addr`; empty where the whole file is meant.
    pub key: String,
    pub message: String,
    pub hint: String,
    /// The line of the key, if it is written in the file.
    pub line: Option<usize>,
    /// It may be over without a change of the file: a file that it names is not there yet.
    pub may_pass: bool,
    /// The line itself with a mark under the place, as two lines; nothing in it is secret.
    pub excerpt: Option<String>,
}

/// Every fault of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    pub file: PathBuf,
    pub list: Vec<Problem>,
    /// Keys that nothing reads and that explain none of the problems.
    pub unknown: Vec<Problem>,
    /// Where the log goes, if the file says so without a mistake.
    pub log: Option<Box<LogSettings>>,
}

impl Problem {
    pub fn new(key: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
            hint: hint.into(),
            line: None,
            may_pass: false,
            excerpt: None,
        }
    }

    /// Says what is wrong and where, without the hint.
    pub fn what(&self) -> String {
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        match self.key.as_str() {
            "" => format!("{line}{}", self.message),
            key => format!("{line}{key}: {}", self.message),
        }
    }

    /// Says everything, with the line of the file under it.
    pub fn in_full(&self) -> String {
        match &self.excerpt {
            Some(excerpt) => format!("{self}\n{excerpt}"),
            None => self.to_string(),
        }
    }
}

/// One line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.hint)
        }
    }
}

impl Problems {
    /// Tells whether every problem may be over at the next try.
    pub fn may_pass(&self) -> bool {
        self.list.iter().all(|problem| problem.may_pass)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration {} is wrong", self.file.display())?;
        for problem in self.list.iter().chain(&self.unknown) {
            write!(f, "\n  {}", problem.in_full())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
