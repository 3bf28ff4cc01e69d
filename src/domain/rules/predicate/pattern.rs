//! Go's regular expressions, on an engine with linear time like Go's.

use regex::{Captures, Regex, RegexBuilder};

use crate::domain::rules::predicate::go_pattern::Translated;
use crate::domain::rules::predicate::{go_pattern, letters};

/// Maximum memory of one compiled pattern, in bytes.
const LARGEST: usize = 4 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// The name of each group; the first is the whole match.
    names: Vec<Option<String>>,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// The pattern is invalid in Go, or takes too much memory.
    pub(super) fn new(pattern: &[u8]) -> Result<Self, String> {
        let pattern = str::from_utf8(pattern).map_err(|_| "the pattern is not UTF-8".to_owned())?;
        let Translated { pattern, names } = go_pattern::translate(pattern)?;
        let regex = RegexBuilder::new(&pattern).size_limit(LARGEST).build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
            error => error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        })?;
        Ok(Self { regex, names })
    }

    /// Reads the second argument of `regexp.match`: a pattern if it begins with `^` and ends with `$`, and otherwise a
    /// glob over the whole text, in which `*` matches any run of characters.
    pub(super) fn of_glob(text: &[u8]) -> Result<Self, String> {
        if text.starts_with(b"^") && text.ends_with(b"$") {
            return Self::new(text);
        }
        let text = str::from_utf8(text).map_err(|_| "the pattern is not UTF-8".to_owned())?;
        let parts: Vec<_> = text.split('*').map(regex::escape).collect();
        let regex = RegexBuilder::new(&format!("^{}$", parts.join("(?:.*)")))
            .size_limit(LARGEST)
            .build();
        let regex = regex.map_err(|_| "the pattern is too large".to_owned())?;
        Ok(Self {
            regex,
            names: vec![None],
        })
    }

    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        match str::from_utf8(text) {
            Ok(text) => self.regex.is_match(text),
            Err(_) => self.regex.is_match(&letters::characters(text).collect::<String>()),
        }
    }

    /// Replaces every match. Returns `None` if there is none.
    pub(super) fn replace(&self, text: &[u8], template: &[u8]) -> Option<Vec<u8>> {
        let text: String = letters::characters(text).collect();
        let mut out = Vec::new();
        let mut copied = 0;
        let mut found = false;
        for captures in self.regex.captures_iter(&text) {
            let whole = captures.get_match();
            out.extend_from_slice(&text.as_bytes()[copied..whole.start()]);
            self.expand(&captures, template, &mut out);
            copied = whole.end();
            found = true;
        }
        out.extend_from_slice(&text.as_bytes()[copied..]);
        found.then_some(out)
    }

    /// Writes a replacement: `$1`, `${1}`, `$name`, `${name}` and `$$`; all other text is literal.
    fn expand(&self, captures: &Captures<'_>, template: &[u8], out: &mut Vec<u8>) {
        let mut rest = template;
        while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(b"$") {
                out.push(b'$');
                rest = after;
                continue;
            }
            let Some((name, length)) = reference(rest) else {
                out.push(b'$');
                continue;
            };
            rest = &rest[length..];
            if let Some(group) = self.group(&name).and_then(|index| captures.get(index)) {
                out.extend_from_slice(group.as_str().as_bytes());
            }
        }
        out.extend_from_slice(rest);
    }

    fn group(&self, name: &str) -> Option<usize> {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        if is_number {
            return name.parse().ok();
        }
        self.names.iter().position(|group| group.as_deref() == Some(name))
    }
}

/// Reads a group name after `$`. Returns it with its length including braces.
fn reference(rest: &[u8]) -> Option<(String, usize)> {
    let braced = rest.starts_with(b"{");
    let inner = &rest[usize::from(braced)..];
    let word: String = letters::characters(inner)
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    let length = word.len();
    if word.is_empty() || word.contains(char::REPLACEMENT_CHARACTER) || (braced && inner.get(length) != Some(&b'}')) {
        return None;
    }
    Some((word, length + 2 * usize::from(braced)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> Option<bool> {
        Pattern::new(pattern.as_bytes())
            .ok()
            .map(|pattern| pattern.is_match(text.as_bytes()))
    }

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
        for (pattern, text, expected) in [
            // ASCII only, and characters that fold to it.
            (r"^\w$", "ä", Some(false)),
            (r"(?i)^\w$", "\u{212a}", Some(true)),
            (r"^\s$", "\u{b}", Some(false)),
            (r"\bx\b", "äx", Some(true)),
            // Plain characters in Go, but not in the engine.
            (r"^[a&&b]+$", "a&b", Some(true)),
            (r"^[[a]$", "[", Some(true)),
            (r"^a{,2}$", "a{,2}", Some(true)),
            (r"^a{$", "a{", Some(true)),
            (r"^\<\>$", "<>", Some(true)),
            (r"^[]a]+$", "]a", Some(true)),
            (r"^[a\-c]+$", "-c", Some(true)),
            (r"^a\ \_$", "a _", Some(true)),
            // Known only to Go.
            (r"^\Qa.b\E$", "a.b", Some(true)),
            (r"^\101\x42\x{43}$", "ABC", Some(true)),
            (r"^\pL\p{Greek}\P{Greek}\p{^Greek}$", "xαyz", Some(true)),
            (r"(?P<1a>x)(?<b>y)", "xy", Some(true)),
            (r"(?)(?ii)A", "a", Some(true)),
            (r"(?i-i:A)", "a", Some(false)),
            // Rejected by Go.
            (r"a**", "", None),
            (r"a{2}{3}", "", None),
            (r"*a", "", None),
            (r"(?i)*", "", None),
            (r"a{1001}", "", None),
            (r"(a{100}){11}", "", None),
            (r"a{2,1}", "", None),
            (r"(a)\1", "", None),
            (r"(?=a)", "", None),
            (r"(?x)a", "", None),
            (r"(?i-)a", "", None),
            (r"[b-a]", "", None),
            (r"[[:nope:]]", "", None),
            (r"\Z", "", None),
            (r"(?<a>x)(?<a>y)", "", None),
            (r"(", "", None),
            (r")", "", None),
            (r"[a", "", None),
            (r"\", "", None),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text:?}");
        }
    }
}
