//! One log line, as text or as JSON.

use std::fmt;
use std::fmt::Write as _;

use jiff::Timestamp;
use tracing::Level;
use tracing::field::{Field, Visit};

use crate::config::LogFormat;
use crate::visible;

/// Longer values are cut, since requesters and peers choose how long a text is; in bytes.
const LONGEST_VALUE: usize = 8 << 10;

/// The name of the field that holds the sentence of a line.
const MESSAGE: &str = "message";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) format: LogFormat,
    pub(super) colours: bool,
}

/// A line in the making; fields are added in their order.
#[derive(Debug)]
pub(super) struct LogLine {
    text: String,
    format: LogFormat,
}

impl LogLine {
    pub(super) fn new(style: Style, level: Level, at: Timestamp) -> Self {
        let mut text = String::with_capacity(256);
        let written = match style {
            Style {
                format: LogFormat::Json,
                ..
            } => write!(text, "{{\"timestamp\":\"{at:.6}\",\"level\":\"{level}\""),
            Style { colours: false, .. } => write!(text, "{at:.6} {:>5}", level.as_str()),
            Style { colours: true, .. } => {
                let colour = match level {
                    Level::ERROR => 31,
                    Level::WARN => 33,
                    Level::INFO => 32,
                    Level::DEBUG => 34,
                    Level::TRACE => 35,
                };
                write!(text, "\x1b[2m{at:.6}\x1b[0m \x1b[{colour}m{:>5}\x1b[0m", level.as_str())
            }
        };
        written.expect("writing to a string never fails");
        Self {
            text,
            format: style.format,
        }
    }

    /// Returns the line with its end.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str(match self.format {
            LogFormat::Json => "}\n",
            LogFormat::Text => "\n",
        });
        self.text
    }

    /// Adds the fields of a span, which were written when it began.
    pub(super) fn append(&mut self, fields: &str) {
        self.text.push_str(fields);
    }

    /// Adds text, in quotes unless it is a single visible word.
    pub(super) fn string(&mut self, name: &str, value: &str) {
        if self.format == LogFormat::Json {
            self.name(name);
            self.text.push_str(&json(value));
        } else if name == MESSAGE {
            self.text.push(' ');
            self.text.push_str(&visible::line(value));
        } else {
            self.name(name);
            quote(&mut self.text, value);
        }
    }

    /// Adds a number, or another value that needs no quotes.
    pub(super) fn plain(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        write!(self.text, "{value}").expect("writing to a string never fails");
    }

    fn name(&mut self, name: &str) {
        let written = match self.format {
            LogFormat::Json => write!(self.text, ",{}:", json(name)),
            LogFormat::Text => write!(self.text, " {name}="),
        };
        written.expect("writing to a string never fails");
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Short(String::new());
        // An error only means that the text was cut.
        let _ = write!(text, "{value:?}");
        self.string(field.name(), &text.0);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Short(String::new());
        let _ = text.write_str(value);
        self.string(field.name(), &text.0);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows no infinity and no NaN.
        if value.is_finite() {
            self.plain(field.name(), value);
        } else {
            self.string(field.name(), &value.to_string());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// The fields of a span as text; its name is left out.
#[derive(Debug)]
pub(super) struct Fields(pub(super) String);

impl Fields {
    pub(super) fn of(attributes: &tracing::span::Attributes<'_>) -> Self {
        let mut line = LogLine {
            text: String::new(),
            format: LogFormat::Text,
        };
        attributes.record(&mut line);
        Self(line.text)
    }
}

/// Text that is cut, and marked with an ellipsis, where it becomes too long.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = LONGEST_VALUE.saturating_sub(self.0.len());
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        self.0.push_str(&more[..more.floor_char_boundary(room)]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

/// Writes a value without quotes if it is a single visible word, and in quotes otherwise.
fn quote(text: &mut String, value: &str) {
    let is_word =
        |letter: char| !(letter.is_whitespace() || matches!(letter, '"' | '=' | '\\') || visible::is_hidden(letter));
    if !value.is_empty() && value.chars().all(is_word) {
        text.push_str(value);
        return;
    }
    text.push('"');
    text.push_str(&visible::line(&value.replace('\\', "\\\\").replace('"', "\\\"")));
    text.push('"');
}

/// Returns a JSON string in which every invisible character is an escape.
fn json(value: &str) -> String {
    // Serializing a string never fails.
    let quoted = serde_json::to_string(value).unwrap_or_default();
    if !quoted.contains(visible::is_hidden) {
        return quoted;
    }
    let mut safe = String::with_capacity(quoted.len() + 16);
    for letter in quoted.chars() {
        if visible::is_hidden(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").expect("writing to a string never fails");
            }
        } else {
            safe.push(letter);
        }
    }
    safe
}
