//! Versions as `newer_than`, `older_than` and `between` compare them.
//!
//! Source: semver.org 2.0.0, with what the Go library go-semver 0.3.1 lets pass: leading zeros, odd identifiers.

use std::cmp::Ordering;

/// Three numbers and the words behind them; the part after `+` is ignored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    numbers: [i64; 3],
    words: &'a str,
}

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
        let (text, words) = text.split_once('-').unwrap_or((text, ""));
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        if !metadata.bytes().chain(words.bytes()).all(is_word) {
            return None;
        }
        let mut parts = text.splitn(3, '.');
        let mut number = || {
            let part = parts.next()?;
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        Some(Self {
            numbers: [number()?, number()?, number()?],
            words,
        })
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.words, other.words) {
            ("", "") => Ordering::Equal,
            // A version with words precedes its release.
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (ours, theirs) => {
                let key = |word| Word::of(word);
                ours.split('.').map(key).cmp(theirs.split('.').map(key))
            }
        })
    }
}

/// One part between dots; numbers come before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Word<'a> {
    Number(i64, &'a str),
    Text(&'a str),
}

impl<'a> Word<'a> {
    fn of(text: &'a str) -> Self {
        text.parse()
            .map_or(Self::Text(text), |number| Self::Number(number, text))
    }
}
