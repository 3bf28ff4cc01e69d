//! Escapes text from users, so that clients never show it as markup or a link.
//!
//! Teams reads Markdown in text blocks and facts, with one parser on desktops (much like markdown-it) and another on
//! phones. Tests with both showed what is safe: a backslash before `[`, `]`, `*` and `_`, and an invisible space
//! (U+200B) that breaks what else could begin something. Ordinary text is left exactly as it is, so that it can be copied.

use std::fmt::Write as _;

/// Breaks a sequence without being seen.
const BREAK: char = '\u{200B}';

/// Combining marks beyond this many on one character are dropped: they serve only to cover other lines.
const MARKS: usize = 4;

/// Returns text for a text block or a fact: one line, at most `limit` characters of it, nothing of it markup.
pub(super) fn plain(text: &str, limit: usize) -> String {
    let (kept, cut) = shortened(text, limit);
    let mut out = String::with_capacity(kept.len() + 8);
    if kept.chars().next().is_some_and(|first| !first.is_alphabetic()) {
        // Lists, headings and quotes begin with something else than a letter.
        out.push(BREAK);
    }
    let mut before = ' ';
    let mut characters = kept.chars().peekable();
    while let Some(c) = characters.next() {
        let after = characters.peek().copied().unwrap_or(' ');
        let inside_a_word = before.is_alphanumeric() && after.is_alphanumeric();
        match c {
            '\\' => out.extend(['\\', BREAK]),
            '[' | ']' | '*' | '_' => out.extend(['\\', c]),
            '`' => out.push('\u{02CB}'),
            '<' | '~' | '&' => out.extend([c, BREAK]),
            '+' | '-' if !inside_a_word => out.extend([c, BREAK]),
            // Template expressions such as {{DATE(…)}} are expanded by clients.
            '{' if after == '{' => out.extend([c, BREAK]),
            // An address that a client would turn into a link, with a scheme or without.
            '/' if after == '/' => out.extend([c, BREAK]),
            '.' if before.eq_ignore_ascii_case(&'w') && ends_with_www(&out) => out.extend([BREAK, c]),
            _ => out.push(c),
        }
        before = c;
    }
    if cut > 0 {
        let characters = if cut == 1 { "character" } else { "characters" };
        write!(out, "… ({cut} more {characters})").expect("writing to a string never fails");
    }
    out
}

/// Returns the beginning of a text for a text block, up to a whole word; `None` if the text is not longer than `limit`
/// characters.
pub(super) fn beginning(text: &str, limit: usize) -> Option<String> {
    let (kept, cut) = shortened(text, limit);
    if cut == 0 {
        return None;
    }
    let whole_words = kept.rfind(' ').filter(|end| *end > kept.len() / 2);
    let kept = &kept[..whole_words.unwrap_or(kept.len())];
    Some(format!("{}…", plain(kept, limit)))
}

/// Characters in a row that a fact can show on a phone.
const LONGEST_WORD: usize = 24;

/// Lets long words break, because a fact cuts them off.
pub(super) fn breakable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = 0;
    for c in text.chars() {
        word = if c.is_whitespace() || c == '-' || c == BREAK {
            0
        } else {
            word + 1
        };
        if word > LONGEST_WORD && c.is_alphanumeric() {
            out.push(BREAK);
            word = 1;
        }
        out.push(c);
    }
    out
}

/// Returns text for places that show it as it is: one line, at most `limit` characters.
pub(super) fn squeezed(text: &str, limit: usize) -> String {
    let (mut kept, cut) = shortened(text, limit);
    if cut > 0 {
        kept.push('…');
    }
    kept
}

fn ends_with_www(text: &str) -> bool {
    let mut last = text.chars().rev();
    let www = last.by_ref().take(3).all(|c| c.eq_ignore_ascii_case(&'w'));
    www && !last.next().is_some_and(char::is_alphanumeric)
}

/// Makes one clean line of the text, and cuts it; says how many characters were cut off.
fn shortened(text: &str, limit: usize) -> (String, usize) {
    let mut kept = String::with_capacity(text.len().min(limit));
    let (mut count, mut cut, mut marks) = (0_usize, 0_usize, 0_usize);
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            space = count > 0;
            continue;
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if is_invisible(c) || marks > MARKS {
            continue;
        }
        let wanted = 1 + usize::from(space);
        if cut > 0 || count + wanted > limit {
            cut += wanted;
        } else {
            if space {
                kept.push(' ');
            }
            kept.push(c);
            count += wanted;
        }
        space = false;
    }
    (kept, cut)
}

/// Characters that change how others are read without being seen themselves: bidirectional controls, invisible spaces and
/// joins, tags. U+200C and U+200D stay: languages and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}'
            | '\u{034F}'
            | '\u{061C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'
            | '\u{200E}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// The blocks of combining marks that are used to cover text.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{0300}'..='\u{036F}'
            | '\u{0483}'..='\u{0489}'
            | '\u{1AB0}'..='\u{1AFF}'
            | '\u{1DC0}'..='\u{1DFF}'
            | '\u{20D0}'..='\u{20FF}'
            | '\u{FE20}'..='\u{FE2F}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(plain(text, 100).replace(BREAK, "|"), expected);
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in [
            "bob-smith@example.com",
            "db-admin",
            "Need to fix the index (ticket 4711), now!",
            "Überprüfung der Datenbank",
            "node web-01",
            "naïve 日本語 👩‍💻",
            "no: a=b; \"quoted\" 'x' #1 > 2 | x^2, 50%",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn markup_is_shown_as_text() {
        check("[x](http://evil.example)", r"|\[x\](http:/|/evil.example)");
        check(r"\[x\](u)", r"|\|\[x\|\](u)");
        check("**b** _i_ `c`", r"|\*\*b\*\* \_i\_ ˋcˋ");
        check("<at>Bob</at> <http://e.com>", "|<|at>Bob<|/at> <|http:/|/e.com>");
        check("- a\n- b\n1) c", "|-| a -| b 1) c");
        check("1) one", "|1) one");
        check("C++20", "C+|+|20");
        check("# h\n> q\n~~s~~", "|# h > q ~|~|s~|~|");
        check("&#91;x&#93;", "|&|#91;x&|#93;");
        check(
            "{{DATE(2017-02-14T06:00:00Z, SHORT)}}",
            "|{|{DATE(2017-02-14T06:00:00Z, SHORT)}}",
        );
        check("see www.evil.example", "see www|.evil.example");
        check("x@y.z and WWW.A", "x@y.z and WWW|.A");
    }

    #[test]
    fn invisible_characters_and_lines_are_removed() {
        check("a\u{202E}b\u{200B}c\u{FEFF}d\u{2066}e\u{E0041}", "abcde");
        check("  one\r\n\ttwo\u{0}three  ", "one two three");
        check(
            &format!("e{}", "\u{0301}".repeat(50)),
            &format!("e{}", "\u{0301}".repeat(4)),
        );
        check("", "");
        check(" \n ", "");
    }

    #[test]
    fn the_beginning_of_a_text_ends_with_a_word() {
        assert_eq!(beginning("one two three", 13), None);
        assert_eq!(beginning("one two three", 12).as_deref(), Some("one two…"));
        assert_eq!(beginning(&"x".repeat(20), 10), Some(format!("{}…", "x".repeat(10))));
        assert_eq!(
            beginning("[one](two) three", 14).as_deref(),
            Some("\u{200B}\\[one\\](two)…")
        );
    }

    #[test]
    fn long_words_can_break_and_ordinary_ones_cannot() {
        let ordinary = "access until 26 Nov 2026, database-administrators-of-production";
        assert_eq!(breakable(ordinary), ordinary);
        let long = "a".repeat(60);
        assert_eq!(
            breakable(&long).replace(BREAK, "|"),
            format!("{0}|{0}|{1}", "a".repeat(24), "a".repeat(12))
        );
        // Nothing comes between a backslash and the character that it escapes.
        assert_eq!(breakable(&"\\_".repeat(20)), "\\_".repeat(20));
    }

    #[test]
    fn what_was_cut_is_said() {
        assert_eq!(
            plain(&"a".repeat(30), 10),
            format!("{}… (20 more characters)", "a".repeat(10))
        );
        assert_eq!(plain("abc", 2), "ab… (1 more character)");
        assert_eq!(squeezed("one two three", 7), "one two…");
    }

    proptest! {
        #[test]
        fn no_character_that_begins_markup_is_left_bare(text in ".{0,80}") {
            let plain = plain(&text, 1_000);
            let characters: Vec<_> = plain.chars().collect();
            for (at, c) in characters.iter().enumerate() {
                let before = at.checked_sub(1).map(|at| characters[at]);
                let after = characters.get(at + 1).copied();
                match c {
                    '[' | ']' | '*' | '_' => prop_assert_eq!(before, Some('\\')),
                    '<' | '~' | '&' => prop_assert_eq!(after, Some(BREAK)),
                    '`' | '\n' => prop_assert!(false),
                    _ => {}
                }
            }
        }
    }
}
