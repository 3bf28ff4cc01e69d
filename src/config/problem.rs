//! Problems of a configuration, each with a hint.

use std::fmt;
use std::path::PathBuf;

use crate::config::LogSettings;

/// One problem: its key, what is wrong, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key with its table, such as `teleport.addr`; empty for the whole file.
    pub key: String,
    pub message: String,
    pub hint: String,
    /// The line of the key, if the file contains it.
    pub line: Option<usize>,
    /// The problem may end without a change of the configuration: a file that it names does not exist yet.
    pub may_pass: bool,
    /// The line itself with a mark under the place, as two lines. It contains no secret.
    pub excerpt: Option<String>,
}

/// Every problem of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    pub file: PathBuf,
    pub list: Vec<Problem>,
    /// Unknown keys that explain none of the problems.
    pub unknown: Vec<Problem>,
    /// The log settings, if they are valid.
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

    /// Returns what is wrong and where, without the hint.
    pub fn what(&self) -> String {
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        match self.key.as_str() {
            "" => format!("{line}{}", self.message),
            key => format!("{line}{key}: {}", self.message),
        }
    }

    /// Returns the hint, if there is one.
    pub fn hint(&self) -> Option<&str> {
        Some(self.hint.as_str()).filter(|hint| !hint.is_empty())
    }
}

/// What is wrong, the line of the file, and the hint, each on its own line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        if let Some(hint) = self.hint() {
            write!(f, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}

impl Problems {
    /// Returns whether every problem may be gone at the next start.
    pub fn may_pass(&self) -> bool {
        self.list.iter().all(|problem| problem.may_pass)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration {}", self.file.display())?;
        for problem in self.list.iter().chain(&self.unknown) {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
