//! Formats a line of the file with carets under one place, without secrets.

use crate::config::shown::{may_be_secret, without_controls};

/// Maximum length of an excerpt, in characters.
const LONGEST: usize = 120;

/// Tables without secrets, whose values are shown.
const OPEN_TABLES: [&str; 3] = ["teleport", "role_to_recipients", "log"];

/// Keys outside these tables whose values are shown.
const OPEN_KEYS: [&str; 4] = ["preload", "diag_addr", "cloud", "region"];

/// Formats a line and carets as compilers do. Lines and columns count from 1, columns in characters.
///
/// Values are shown only in tables and keys that are known not to hold secrets.
pub(super) fn excerpt(text: &str, line: usize, column: usize, length: usize) -> String {
    let index = line.saturating_sub(1);
    let before: Vec<&str> = text.lines().take(index).collect();
    let written = text.lines().nth(index).unwrap_or_default();
    let (shown, start) = match value_of(written) {
        Some(_) if is_in_text(&before) => ("…".to_owned(), 0),
        Some(value) if !is_open(&before, written, value) => {
            (format!("{}…", &written[..value]), written[..value].chars().count())
        }
        _ => (written.to_owned(), usize::MAX),
    };
    let shown = without_controls(&shown);
    let start = start.min(column.saturating_sub(1));
    let (shown, start) = part(shown, start);
    // Tabs are copied, so that the carets line up with the text above.
    let lead: String = shown
        .chars()
        .chain(std::iter::repeat(' '))
        .take(start)
        .map(|letter| if letter == '\t' { '\t' } else { ' ' })
        .collect();
    let room = shown.chars().count().saturating_sub(start).max(1);
    let mark = "^".repeat(length.clamp(1, room));
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    format!("    {number} | {shown}\n    {margin} | {lead}{mark}")
}

/// Cuts a long line to the part around a place.
fn part(line: String, start: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= LONGEST {
        return (line, start);
    }
    let skipped = start.saturating_sub(LONGEST / 2).min(length - LONGEST);
    let kept: String = line.chars().skip(skipped).take(LONGEST).collect();
    let (before, after) = (skipped > 0, skipped + LONGEST < length);
    let mark = |cut: bool| if cut { "…" } else { "" };
    let start = start - skipped + usize::from(before);
    (format!("{}{kept}{}", mark(before), mark(after)), start)
}

/// Returns whether the line after these continues a text of several lines, in which nothing is a key.
fn is_in_text(before: &[&str]) -> bool {
    ["\"\"\"", "'''"].iter().any(|mark| {
        let marks: usize = before.iter().map(|line| line.matches(mark).count()).sum();
        marks % 2 == 1
    })
}

/// Returns the offset of a line's value: 0 for a line without a key, and `None` for a table header.
fn value_of(line: &str) -> Option<usize> {
    let trimmed = line.trim_start();
    if trimmed.starts_with('[') && !trimmed.contains(['"', '\'', '=']) {
        return None;
    }
    let sign = key_end(line).map_or(0, |sign| sign + 1);
    let blanks = line[sign..].len() - line[sign..].trim_start().len();
    Some(sign + blanks)
}

/// Returns the offset of the `=` or `:` after the key at the beginning of a line; `None` if a value or something else is there,
/// which may contain the same characters.
fn key_end(line: &str) -> Option<usize> {
    let mut rest = line.trim_start();
    loop {
        let length = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest[1..].find(quote)? + 2,
            _ => rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)))?,
        };
        if length == 0 || may_be_secret(&rest[..length]) {
            return None;
        }
        rest = rest[length..].trim_start();
        match rest.chars().next()? {
            '=' | ':' => return Some(line.len() - rest.len()),
            '.' => rest = rest[1..].trim_start(),
            _ => return None,
        }
    }
}

/// Returns whether the value of a line can be shown.
fn is_open(before: &[&str], line: &str, value: usize) -> bool {
    let key = |line: &str| {
        let key = &line[..key_end(line)?];
        Some(key.trim().trim_matches(['"', '\'']).to_lowercase())
    };
    let header = |line: &&&str| line.trim_start().starts_with('[') && value_of(line).is_none();
    let table = before
        .iter()
        .rev()
        .find(header)
        .map_or("", |line| line.trim().trim_matches(['[', ']', ' ', '\t']));
    // A line without a key continues the value of the last key above it.
    let key = key(line)
        .or_else(|| before.iter().rev().find_map(|line| key(line)))
        .unwrap_or_default();
    let open = OPEN_TABLES.contains(&table.to_lowercase().as_str()) || OPEN_KEYS.contains(&key.as_str());
    let words = line[value..].split(['"', '\'', ',', ' ', '[', ']']);
    open && !key.contains("sec") && !key.contains("pass") && !words.into_iter().any(may_be_secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_part_of_a_line_that_is_shown() {
        for text in [
            "[msapi]\napp_secret = \"planted",
            "[msapi]\napp_id = planted\"",
            "[msap]\napp_secert: planted",
            "app_secret = planted",
            "[teleport]\napp_secret = planted",
            "[teleport]\naddr = plan~ted",
            "[msapi]\napp_secret = \"\"\"\nplanted",
            "[msapi]\nplanted",
            "planted",
            "[msapi]\napp_secret = [\n \"planted\"",
            "[msapi]\napp_secret = \"x=planted",
            "[msapi]\n[planted~\"",
            "[teleport]\napp_secret = \"\"\"\nplanted=abc",
            "[msapi]\napp_secret = [\n \"x~planted=b\"",
            "[msapi]\napp_secret = [\n \"planted:def\", \"",
            "[msapi]\napp_secret = [\n \"a~b=1\"\n \"planted:abc:def\"",
            "[msapi]\napp_secret = [\n \"planted\" \"x=y\"",
            "[msapi]\napp_secret = [\n planted~abc=def",
            "[msapi]\napp_secret = [\n Xplanted8Q7abcdefghijkl:def",
            "[teleport]\naddr = \"x\"\napp_secret = [\n \"planted:x\"",
        ] {
            let line = text.lines().count();
            let shown = excerpt(text, line, 99, 1);
            assert!(!shown.contains("planted") && !shown.contains("plan~ted"), "{shown}");
            assert!(shown.contains('…'), "{shown}");
        }
    }

    #[test]
    fn the_caret_is_under_the_beginning_of_a_hidden_value() {
        let shown = excerpt("[msapi]\napp_secret = \"planted", 2, 22, 1);
        assert_eq!(shown, "    2 | app_secret = …\n      |              ^");
    }

    #[test]
    fn a_long_line_is_cut_to_the_part_around_the_caret() {
        let text = format!("[teleport]\naddr = \"{}!{}", "a".repeat(5_000), "b".repeat(5_000));
        let shown = excerpt(&text, 2, 5_009, 1);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].chars().count() < 140, "{shown}");
        let place = |line: &str, letter: char| line.chars().position(|found| found == letter);
        assert_eq!(place(lines[0], '!'), place(lines[1], '^'), "{shown}");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let shown = excerpt("[teleport]\naddr = \u{1b}[31m\u{202e}x\r", 2, 8, 1);
        assert!(shown.contains("addr = \u{fffd}[31m\u{fffd}x"), "{shown:?}");
    }
}
