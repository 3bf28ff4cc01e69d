//! Parses the TOML file, and finds the line of each key.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use toml::Table;
use toml::de::{DeTable, DeValue};

use crate::config::Problem;
use crate::config::excerpt::excerpt;

/// A parsed TOML file.
pub(super) struct Source {
    pub(super) table: Table,
    pub(super) lines: Lines,
}

/// The line of every key, by its lower-case path.
#[derive(Debug, Default)]
pub(super) struct Lines(HashMap<String, usize>);

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or it has a syntax error.
    pub(super) fn read(file: &Path) -> Result<Self, Problem> {
        let bytes = fs::read(file).map_err(|error| unreadable(&error))?;
        Self::parse(&decoded(&bytes)?)
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let table = text.parse().map_err(|error| syntax(&error, text))?;
        let mut lines = HashMap::new();
        if let Ok(places) = DeTable::parse(text) {
            collect(places.get_ref(), "", text, &mut lines);
        }
        Ok(Self {
            table,
            lines: Lines(lines),
        })
    }
}

impl Lines {
    /// Returns the line of a key such as `msapi.app_id`.
    pub(super) fn of(&self, path: &str) -> Option<usize> {
        self.0.get(&path.to_lowercase()).copied()
    }
}

fn collect(table: &DeTable<'_>, path: &str, text: &str, lines: &mut HashMap<String, usize>) {
    for (key, value) in table {
        let path = if path.is_empty() {
            key.get_ref().to_lowercase()
        } else {
            format!("{path}.{}", key.get_ref().to_lowercase())
        };
        if let DeValue::Table(inner) = value.get_ref() {
            collect(inner, &path, text, lines);
        }
        lines.insert(path, line_at(text, key.span().start));
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    before.matches('\n').count() + 1
}

fn unreadable(error: &std::io::Error) -> Problem {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => {
            hint!("Run the command as a user who can read it, such as teleport-msteams, or grant that user read access")
        }
        ErrorKind::IsADirectory => hint!("Pass the path of the file in this directory with --config"),
        _ => hint!("Pass the path of the configuration with --config"),
    };
    Problem::new("", format!("could not read it: {error}"), hint)
}

/// Decodes UTF-8, and names other encodings that editors write.
fn decoded(bytes: &[u8]) -> Result<String, Problem> {
    let save = hint!("Save the file as UTF-8");
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Problem::new("", "the file is encoded in UTF-16", save));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let message = format!("line {line} contains a character that is not UTF-8, perhaps Latin-1");
        Problem::new("", message, save)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // ASCII text in UTF-16 without a byte order mark is also valid UTF-8.
    if text.contains('\0') {
        let message = "the file contains zero bytes, as in UTF-16";
        return Err(Problem::new("", message, save));
    }
    Ok(text.to_owned())
}

/// Describes a syntax error with its place.
fn syntax(error: &toml::de::Error, text: &str) -> Problem {
    let span = error.span().unwrap_or_default();
    let message = error.message().replace('\n', ", ");
    let mut start = span.start;
    // The comma is missing after the previous element, which is often on the line above.
    if message.starts_with("missing comma") {
        start = text.get(..start).unwrap_or_default().trim_end().len();
    }
    let before = text.get(..start).unwrap_or_default();
    let line = line_at(text, start);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let hint = hint(&message, before, text.get(start..).unwrap_or_default());
    let length = text
        .get(span.start..span.end)
        .map_or(1, |marked| marked.chars().count().max(1));
    let message = format!("syntax error at line {line}, column {column}: {message}");
    Problem {
        excerpt: Some(excerpt(text, line, column, length)),
        ..Problem::new("", message, hint)
    }
}

fn hint(message: &str, before: &str, after: &str) -> &'static str {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let is_escape = ["escape", "unicode"].iter().any(|word| message.contains(word));
    if is_escape && line.contains('\\') {
        return hint!("Write the value as '…' instead of \"…\", or double each backslash");
    }
    if after.starts_with(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}']) {
        return hint!("Use straight quotes (\")");
    }
    if message.starts_with("invalid basic string") || message.starts_with("missing opening quote") {
        return hint!("Put a \" at both ends of the value");
    }
    if message.starts_with("invalid literal string") {
        return hint!("Put a ' at both ends of the value");
    }
    if message.starts_with("string values must be quoted") {
        return hint!("Put the value in double quotes");
    }
    if message.starts_with("invalid unquoted key") && after.starts_with('*') {
        return hint!("Put the * in double quotes");
    }
    if message.starts_with("missing comma") {
        return hint!("Write a comma between two recipients, and ] after the last one");
    }
    if message.starts_with("duplicate key") {
        return hint!("Keep one of them");
    }
    if message.starts_with("key with no value") {
        return hint!("Write key = value");
    }
    hint!("Fix the TOML syntax")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, line: usize, parts: &[&str]) {
        let Err(problem) = Source::parse(text) else {
            panic!("{text:?} is TOML");
        };
        let shown = problem.to_string();
        assert!(shown.contains(&format!("line {line},")), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn a_syntax_error_shows_its_line_a_caret_and_a_hint() {
        check(
            "[teleport]\naddr = \"x\nidentity = \"y\"\n",
            2,
            &["\n    2 | addr = \"x\n      |          ^", "Put a \" at both ends"],
        );
        check(
            "[role_to_recipients]\n\"*\" = [\n  \"a\"\n  \"b\"\n]\n",
            3,
            &["\n    3 |   \"a\"\n", "comma"],
        );
        check("[role_to_recipients]\n* = \"a\"\n", 2, &["Put the * in double quotes"]);
        check(
            "[teleport]\naddr = yes\n",
            2,
            &["addr = yes\n      |        ^^^", "in double quotes"],
        );
        check("[teleport]\naddr = \u{201c}x\u{201d}\n", 2, &["straight quotes"]);
        check(
            "[log]\n\toutput: \"x\"\n",
            2,
            &["    2 | \toutput: \"x\"\n      | \t        ^", "key = value"],
        );
        check("[log]\n[log]\n", 2, &["Keep one of them"]);
        check("[msapi\nx = 1\n", 1, &["[msapi\n"]);
    }

    #[test]
    fn a_windows_path_in_double_quotes_has_its_own_hint() {
        for path in [r"C:\Users\bot\identity", r"C:\tele\wort", r"C:\xyz"] {
            check(
                &format!("[teleport]\nidentity = \"{path}\"\n"),
                2,
                &["Write the value as '…'", path],
            );
        }
    }

    #[test]
    fn other_encodings_are_named() {
        let utf_16: Vec<u8> = "[log]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [b"\xff\xfe".as_slice(), &utf_16].concat();
        for (bytes, part) in [
            (marked.as_slice(), "UTF-16"),
            (&utf_16, "UTF-16"),
            (
                b"[log]\noutput = \"\xfc\"\n",
                "line 2 contains a character that is not UTF-8",
            ),
        ] {
            let problem = decoded(bytes).unwrap_err();
            assert!(problem.message.contains(part), "{problem}");
            assert_eq!(problem.hint, "Save the file as UTF-8");
        }
        assert_eq!(decoded(b"\xef\xbb\xbfx = 1").unwrap(), "x = 1");
    }

    #[test]
    fn the_line_of_a_key_is_found_in_every_form_of_table() {
        let source = Source::parse("preload = true\n[MSApi]\napp_id = \"a\"\nendpoints.login = \"x\"\n").unwrap();
        for (path, line) in [
            ("preload", Some(1)),
            ("msapi.app_id", Some(3)),
            ("msapi.endpoints.login", Some(4)),
            ("msapi.tenant_id", None),
        ] {
            assert_eq!(source.lines.of(path), line, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in r#"(\[?[a-z_."*]{0,8}\]?[ \t]?[=:]?[ "'\[{\\é\u{2028}\r\u{1b}]{0,4}[a-zA-Z0-9~/\\]{0,40}["'\]}]?\n?){0,6}"#) {
            if let Err(problem) = Source::parse(&text) {
                let shown = problem.to_string();
                proptest::prop_assert!(!shown.contains('\u{1b}'), "{}", shown);
            }
        }

        #[test]
        fn no_bytes_break_the_reader(bytes: Vec<u8>) {
            let _ = decoded(&bytes).map(|text| Source::parse(&text).map(|_| ()));
        }
    }
}
