//! Translates Go's regular expressions for the `regex` crate.
//!
//! The two syntaxes differ, so this module parses a pattern by Go's rules. Source: the syntax page of Go's
//! `regexp/syntax`, and tests with both.

use std::fmt::Write as _;

/// The largest count of a repetition, alone and multiplied with the repetitions inside it.
const MOST_REPEATS: u32 = 1000;

/// Maximum nesting of groups.
const DEEPEST: usize = 100;

/// Flags of a group: case, lines, dot, and which repetitions are greedy.
const FLAGS: &str = "imsU";

/// A pattern that the engine reads as Go would have read the first one.
pub(super) struct Translated {
    pub(super) pattern: String,
    /// The name of each group; the first is the whole match.
    pub(super) names: Vec<Option<String>>,
}

/// Reads a pattern by Go's rules.
///
/// # Errors
/// The pattern is invalid in Go.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut reader = Reader {
        rest: pattern,
        out: String::new(),
        names: vec![None],
        depth: 0,
    };
    reader.alternatives()?;
    if !reader.rest.is_empty() {
        return Err("a `)` without its `(`".to_owned());
    }
    Ok(Translated {
        pattern: reader.out,
        names: reader.names,
    })
}

/// Reads Go's syntax and writes that of the engine.
struct Reader<'a> {
    rest: &'a str,
    out: String,
    names: Vec<Option<String>>,
    depth: usize,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let next = letters.next()?;
        self.rest = letters.as_str();
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Reads to the end or to a closing parenthesis. Returns the largest product of repetitions inside.
    fn alternatives(&mut self) -> Read<u32> {
        let mut most = 1;
        // Whether there is a previous item, and whether it is a repetition.
        let (mut something, mut repeated) = (false, false);
        let mut last = 1;
        loop {
            if self.rest.is_empty() || self.rest.starts_with(')') {
                return Ok(most);
            }
            if self.eat("|") {
                self.out.push('|');
                (something, repeated) = (false, false);
                continue;
            }
            if let Some(count) = self.repetition()? {
                if !something {
                    return Err("a repetition of nothing".to_owned());
                }
                if repeated {
                    return Err("a repetition of a repetition".to_owned());
                }
                repeated = true;
                if count.saturating_mul(last) > MOST_REPEATS {
                    return Err(format!("more than {MOST_REPEATS} repetitions"));
                }
                most = most.max(count.saturating_mul(last));
                continue;
            }
            (something, repeated) = (true, false);
            last = self.atom(&mut something)?;
            most = most.max(last);
        }
    }

    /// Reads `*`, `+`, `?` or `{n,m}`, with the mark of a lazy one; returns how often at most it counts.
    fn repetition(&mut self) -> Read<Option<u32>> {
        let count = match self.rest.chars().next() {
            Some(mark @ ('*' | '+' | '?')) => {
                self.next();
                self.out.push(mark);
                1
            }
            Some('{') => {
                let Some((text, least, most)) = counts(self.rest) else {
                    return Ok(None);
                };
                let (least, most) = (least?, most.transpose()?);
                if most.is_some_and(|most| most < least) {
                    return Err("a repetition from more to less".to_owned());
                }
                self.rest = &self.rest[text.len()..];
                self.out.push_str(text);
                most.unwrap_or(least).max(1)
            }
            _ => return Ok(None),
        };
        if self.eat("?") {
            self.out.push('?');
        }
        Ok(Some(count))
    }

    /// Reads one item. `something` becomes false if the item cannot be repeated.
    fn atom(&mut self, something: &mut bool) -> Read<u32> {
        match self.next() {
            Some('(') => return self.group(something),
            Some('[') => self.class()?,
            Some('\\') => self.escape()?,
            Some(mark @ ('.' | '^' | '$')) => self.out.push(mark),
            Some(letter) => self.literal(letter),
            None => {}
        }
        Ok(1)
    }

    fn literal(&mut self, letter: char) {
        if letter.is_ascii_alphanumeric() || !letter.is_ascii() {
            self.out.push(letter);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(self.out, "\\x{{{:x}}}", u32::from(letter));
        }
    }

    fn group(&mut self, something: &mut bool) -> Read<u32> {
        if self.depth == DEEPEST {
            return Err(format!("groups deeper than {DEEPEST} levels"));
        }
        if self.eat("?P<") || self.eat("?<") {
            let Some((name, rest)) = self.rest.split_once('>') else {
                return Err("a group's name has no end".to_owned());
            };
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name || self.names.iter().flatten().any(|known| known == name) {
                return Err(format!("{name:?} cannot name a group"));
            }
            self.names.push(Some(name.to_owned()));
            self.rest = rest;
            self.out.push('(');
        } else if self.eat("?") {
            let Some(end) = self.rest.find([')', ':']) else {
                return Err("a group has no end".to_owned());
            };
            let flags = &self.rest[..end];
            let (on, off) = match flags.split_once('-') {
                Some((on, off)) => (on, Some(off)),
                None => (flags, None),
            };
            let known = |flags: &str| flags.chars().all(|flag| FLAGS.contains(flag));
            if !known(on) || !known(off.unwrap_or_default()) || off == Some("") {
                return Err(format!("(?{flags} is not known"));
            }
            // In Go a flag can occur twice, and the last one counts.
            let off: String = FLAGS
                .chars()
                .filter(|flag| off.is_some_and(|off| off.contains(*flag)))
                .collect();
            let on: String = FLAGS
                .chars()
                .filter(|flag| on.contains(*flag) && !off.contains(*flag))
                .collect();
            let sign = if off.is_empty() { "" } else { "-" };
            let alone = self.rest[end..].starts_with(')');
            self.rest = &self.rest[end + 1..];
            if alone {
                if !flags.is_empty() {
                    let _ = write!(self.out, "(?{on}{sign}{off})");
                }
                *something = false;
                return Ok(1);
            }
            let _ = write!(self.out, "(?{on}{sign}{off}:");
        } else {
            self.names.push(None);
            self.out.push('(');
        }
        self.depth += 1;
        let most = self.alternatives()?;
        self.depth -= 1;
        if !self.eat(")") {
            return Err("a `(` without its `)`".to_owned());
        }
        self.out.push(')');
        Ok(most)
    }

    fn escape(&mut self) -> Read<()> {
        let next = self.rest.chars().next().ok_or("a `\\` at the end")?;
        if let Some(class) = perl_class(next) {
            self.next();
            let _ = write!(self.out, "[{class}]");
            return Ok(());
        }
        match next {
            'A' | 'z' => {
                self.next();
                let _ = write!(self.out, "\\{next}");
            }
            'b' | 'B' => {
                self.next();
                let _ = write!(self.out, "(?-u:\\{next})");
            }
            'Q' => {
                self.next();
                let (text, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                text.chars().for_each(|letter| self.literal(letter));
            }
            'p' | 'P' => {
                let class = self.unicode_class()?;
                self.out.push_str(&class);
            }
            _ => {
                let letter = self.escaped()?;
                self.literal(letter);
            }
        }
        Ok(())
    }

    /// Reads `p{Greek}`, `pL` or their negations, behind the backslash.
    fn unicode_class(&mut self) -> Read<String> {
        let mark = self.next().unwrap_or('p');
        let name = if self.eat("{") {
            let (name, rest) = self.rest.split_once('}').ok_or("\\p{ has no }")?;
            self.rest = rest;
            name.to_owned()
        } else {
            self.next().ok_or("\\p without a name")?.to_string()
        };
        let (name, swapped) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("\\p{{{name}}} is not known"));
        }
        let mark = if (mark == 'P') == swapped { 'p' } else { 'P' };
        Ok(format!("\\{mark}{{{name}}}"))
    }

    /// Reads a single character behind a backslash.
    fn escaped(&mut self) -> Read<char> {
        let letter = self.next().ok_or("a `\\` at the end")?;
        let unknown = || format!("\\{letter} is not known");
        match letter {
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\u{b}'),
            'x' => {
                let digits = if self.eat("{") {
                    let (digits, rest) = self.rest.split_once('}').ok_or_else(unknown)?;
                    self.rest = rest;
                    digits
                } else {
                    let (digits, rest) = self.rest.split_at_checked(2).ok_or_else(unknown)?;
                    self.rest = rest;
                    digits
                };
                let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let number = all.then(|| u32::from_str_radix(digits, 16).ok()).flatten();
                number.and_then(char::from_u32).ok_or_else(unknown)
            }
            '0'..='7' => {
                let is_octal = |letter: &char| letter.is_digit(8);
                let more: String = self.rest.chars().take(2).take_while(is_octal).collect();
                if letter != '0' && more.is_empty() {
                    // A back-reference, which linear time excludes.
                    return Err(unknown());
                }
                self.rest = &self.rest[more.len()..];
                let number = u32::from_str_radix(&format!("{letter}{more}"), 8).ok();
                number.and_then(char::from_u32).ok_or_else(unknown)
            }
            letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Ok(letter),
            _ => Err(unknown()),
        }
    }

    /// Reads a class behind its `[`.
    fn class(&mut self) -> Read<()> {
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            if !first && self.eat("]") {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if self.rest.starts_with("[:")
                && let Some(end) = self.rest.find(":]")
            {
                let name = &self.rest[..end + 2];
                let word = name.trim_matches(['[', ']', ':', '^']);
                if !POSIX.contains(&word) {
                    return Err(format!("{name} is not known"));
                }
                self.out.push_str(name);
                self.rest = &self.rest[end + 2..];
                continue;
            }
            if let Some(after) = self.rest.strip_prefix('\\') {
                if let Some(class) = after.chars().next().and_then(perl_class) {
                    let _ = write!(self.out, "[{class}]");
                    self.rest = &after[1..];
                    continue;
                }
                if after.starts_with(['p', 'P']) {
                    self.rest = after;
                    let class = self.unicode_class()?;
                    self.out.push_str(&class);
                    continue;
                }
            }
            let low = self.class_letter()?;
            self.literal(low);
            let ranged = self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1;
            if ranged {
                self.next();
                let high = self.class_letter()?;
                if high < low {
                    return Err(format!("a range from {low} back to {high}"));
                }
                self.out.push('-');
                self.literal(high);
            }
        }
    }

    fn class_letter(&mut self) -> Read<char> {
        match self.next() {
            Some('\\') => self.escaped(),
            Some(letter) => Ok(letter),
            None => Err("a `[` without its `]`".to_owned()),
        }
    }
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// Returns Go's meaning of `\d` and similar classes: ASCII only, and no vertical tab in white space.
fn perl_class(letter: char) -> Option<&'static str> {
    match letter {
        'd' => Some("0-9"),
        'D' => Some("^0-9"),
        's' => Some(r"\t\n\f\r\x20"),
        'S' => Some(r"^\t\n\f\r\x20"),
        'w' => Some("0-9A-Za-z_"),
        'W' => Some("^0-9A-Za-z_"),
        _ => None,
    }
}

type Counts<'a> = (&'a str, Read<u32>, Option<Read<u32>>);

/// Reads `{n}`, `{n,}` or `{n,m}`; any other text after a brace is literal.
fn counts(rest: &str) -> Option<Counts<'_>> {
    let end = rest.find('}')?;
    let inside = &rest[1..end];
    let (least, most) = match inside.split_once(',') {
        Some((least, most)) => (least, Some(most)),
        None => (inside, None),
    };
    let is_number = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'))
    };
    if !is_number(least) || !most.is_none_or(|most| most.is_empty() || is_number(most)) {
        return None;
    }
    let number = |text: &str| match text.parse() {
        Ok(number) if number <= MOST_REPEATS => Ok(number),
        _ => Err(format!("more than {MOST_REPEATS} repetitions")),
    };
    let most = match most {
        None => Some(number(least)),
        Some("") => None,
        Some(most) => Some(number(most)),
    };
    Some((&rest[..=end], number(least), most))
}
