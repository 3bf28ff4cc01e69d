//! The findings of `rules check`, with their places.

use std::fmt;
use std::ops::Range;

/// One finding, with its place.
#[derive(Debug)]
pub(super) struct Finding {
    /// Teleport would accept the rule, but it does not do what it seems to do.
    pub(super) is_warning: bool,
    pub(super) message: String,
    pub(super) place: Place,
}

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    /// Length in characters.
    pub(super) length: usize,
    /// The place inside a multi-line or escaped text, with that text's line.
    pub(super) inside: Option<(Range<usize>, String)>,
}

impl Finding {
    pub(super) fn error(place: Place, message: impl Into<String>) -> Self {
        Self {
            is_warning: false,
            message: message.into(),
            place,
        }
    }

    pub(super) fn warning(place: Place, message: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            ..Self::error(place, message)
        }
    }

    /// Returns the finding as an object, with the names that `validate --json` uses.
    pub(super) fn as_json(&self, file: &str) -> serde_json::Value {
        serde_json::json!({
            "check": "rule",
            "file": file,
            "line": self.place.line,
            "column": self.place.column,
            "status": if self.is_warning { "warning" } else { "failed" },
            "detail": self.message,
        })
    }

    /// Formats the finding as compilers do, with the line of the file and carets under the place.
    pub(super) fn shown<'a>(&'a self, file: &'a str, source: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            let Place { line, column, .. } = &self.place;
            let kind = if self.is_warning { "warning: " } else { "" };
            writeln!(f, "{file}:{line}:{column}: {kind}{}", self.message)?;
            let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            let (text, start, length) = match &self.place.inside {
                Some((part, text)) => (text.as_str(), part.start, part.len()),
                None => (text, column.saturating_sub(1), self.place.length),
            };
            // Tabs are copied, so that the carets line up with the text above.
            let lead: String = text
                .chars()
                .take(start)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let room = text.chars().count().saturating_sub(start).max(1);
            let mark = "^".repeat(length.clamp(1, room));
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            writeln!(f, "  {number} | {text}")?;
            write!(f, "  {margin} | {lead}{mark}")
        })
    }
}
