//! Text from outside, made safe to show on a terminal and in a log.
//!
//! Architecture Invariant: knows nothing of the program. Printable text is returned unchanged, and nothing is left out:
//! what can't be seen is written as an escape such as `\u{1b}`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the text on a single line, with an escape in place of each character that moves the cursor, changes the
/// direction of the text, or can't be seen.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden)
}

/// As [`line()`], but keeps line feeds: for text of the program itself that has several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |letter| letter != '\n' && is_hidden(letter))
}

/// Reports whether a terminal doesn't show this character as itself: control characters (C0, DEL and C1 with the
/// one-character CSI), separators of lines and paragraphs, marks of direction, and characters without a width.
///
/// The set is that of Unicode's `Cc`, `Cf`, `Zl` and `Zp`, as far as `Cf` has no glyph.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn escape(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text.find(&hidden) else {
        return Cow::Borrowed(text);
    };
    let mut safe = String::with_capacity(text.len() + 16);
    safe.push_str(&text[..first]);
    for letter in text[first..].chars() {
        match letter {
            letter if !hidden(letter) => safe.push(letter),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            letter => write!(safe, "\\u{{{:x}}}", u32::from(letter)).expect("writing to a string never fails"),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_becomes_an_escape_and_the_rest_stays() {
        for (text, expected) in [
            ("night", "night"),
            ("a b=\"c\" \\d é 日本 🙂 e\u{301}", "a b=\"c\" \\d é 日本 🙂 e\u{301}"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
            ("\u{1b}[31mred\u{7}\u{0}\u{7f}", "\\u{1b}[31mred\\u{7}\\u{0}\\u{7f}"),
            ("\u{9b}31m\u{85}next", "\\u{9b}31m\\u{85}next"),
            ("\u{202e}gnp.exe\u{2066}\u{2069}", "\\u{202e}gnp.exe\\u{2066}\\u{2069}"),
            (
                "a\u{200b}b\u{feff}c\u{2028}d\u{2029}",
                "a\\u{200b}b\\u{feff}c\\u{2028}d\\u{2029}",
            ),
            ("tag\u{e0041}", "tag\\u{e0041}"),
        ] {
            assert_eq!(line(text), expected, "{text:?}");
            assert_eq!(line(&line(text)), line(text), "{text:?}");
        }
        assert_eq!(lines("one\ntwo\u{1b}\r\n"), "one\ntwo\\u{1b}\\r\n");
        assert!(matches!(line("nothing to do"), Cow::Borrowed(_)));
    }
}
