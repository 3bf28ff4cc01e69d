//! Splits text into tokens, by the rules of Go's expressions.
//!
//! Source: the Go language specification, "Lexical elements"; conditions are Go expressions.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::rules::predicate::error::{Error, Span};

/// Reserved words, which cannot be names, not even after a dot.
const KEYWORDS: [&str; 25] = [
    "break",
    "case",
    "chan",
    "const",
    "continue",
    "default",
    "defer",
    "else",
    "fallthrough",
    "for",
    "func",
    "go",
    "goto",
    "if",
    "import",
    "interface",
    "map",
    "package",
    "range",
    "return",
    "select",
    "struct",
    "switch",
    "type",
    "var",
];

/// Operators and marks, longer ones before those that they begin with.
const MARKS: [&str; 48] = [
    "...", "<<=", ">>=", "&^=", "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "&^", "<-", ":=", "+=", "-=", "*=",
    "/=", "%=", "&=", "|=", "^=", "++", "--", "(", ")", "[", "]", "{", "}", ".", ",", "!", "+", "-", "*", "/", "%",
    "&", "|", "^", "<", ">", "=", ":", ";", "~",
];

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}_][\p{L}\p{Nd}_]*").expect("the pattern is constant and valid"));

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^(?:0[xX][0-9A-Fa-f_.pP]*|0[bB][01_]*|0[oO][0-7_]*|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?)i?";
    Regex::new(pattern).expect("the pattern is constant and valid")
});

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    /// A string's bytes, with escapes read.
    String(Vec<u8>),
    Int(i64),
    Float,
    /// A text in single quotes, which Go reads as one character and conditions do not support.
    SingleQuoted(String),
    /// A Go literal that conditions do not support, with its description.
    Refused(&'static str),
    Mark(&'static str),
    /// A newline after a token that can end an expression.
    Newline,
    End,
}

/// Splits a condition into tokens; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Error> {
    let illegal = |(at, letter): &(usize, char)| *letter == '\0' || (*letter == '\u{feff}' && *at > 0);
    if let Some((at, letter)) = text.char_indices().find(illegal) {
        let span = Span::new(at, at + letter.len_utf8());
        return Err(Error::parse(span, "an invisible character; write it as an escape"));
    }
    let mut lexer = Lexer {
        text,
        at: if text.starts_with('\u{feff}') { 3 } else { 0 },
        found: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.found)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    found: Vec<(Token, Span)>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Error> {
        while let Some(next) = self.rest().chars().next() {
            match next {
                '\n' => {
                    self.newline(self.at);
                    self.at += 1;
                }
                ' ' | '\t' | '\r' => self.at += 1,
                '"' => self.quoted()?,
                '`' => self.raw()?,
                '\'' => self.character()?,
                _ if self.rest().starts_with("//") => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                }
                _ if self.rest().starts_with("/*") => self.comment()?,
                _ => self.word_or_mark(next)?,
            }
        }
        let end = self.text.len();
        self.newline(end);
        self.found.push((Token::End, Span::new(end, end)));
        Ok(())
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, length: usize) {
        let span = Span::new(self.at, self.at + length);
        self.at += length;
        self.found.push((token, span));
    }

    /// Records a newline where it ends the expression.
    fn newline(&mut self, at: usize) {
        let ends = match self.found.last() {
            Some((Token::Mark(mark), _)) => matches!(*mark, ")" | "]" | "}" | "++" | "--"),
            Some((Token::Newline | Token::End, _)) | None => false,
            Some(_) => true,
        };
        if ends {
            self.found.push((Token::Newline, Span::new(at, at)));
        }
    }

    fn comment(&mut self) -> Result<(), Error> {
        let Some(length) = self.rest().find("*/") else {
            return Err(Error::parse(Span::new(self.at, self.at + 2), "the comment has no end"));
        };
        if self.rest()[..length].contains('\n') {
            self.newline(self.at);
        }
        self.at += length + 2;
        Ok(())
    }

    fn word_or_mark(&mut self, next: char) -> Result<(), Error> {
        let rest = self.rest();
        if let Some(name) = NAME.find(rest) {
            let name = name.as_str().to_owned();
            let length = name.len();
            if KEYWORDS.contains(&name.as_str()) {
                let span = Span::new(self.at, self.at + length);
                let error = Error::parse(span, format!("{name} is a reserved word and cannot be a name"));
                return Err(error.with_hint(format!("write [\"{name}\"] for the key of that name")));
            }
            self.push(Token::Name(name), length);
            return Ok(());
        }
        if let Some(number) = NUMBER.find(rest) {
            let (number, length) = (number.as_str().to_owned(), number.len());
            let span = Span::new(self.at, self.at + length);
            let token = number_token(&number, span)?;
            self.push(token, length);
            return Ok(());
        }
        if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(*mark)) {
            self.push(Token::Mark(mark), mark.len());
            return Ok(());
        }
        let span = Span::new(self.at, self.at + next.len_utf8());
        let error = Error::parse(span, format!("{:?} is not allowed here", next.to_string()));
        Err(match next {
            '#' => error.with_hint("comments begin with //"),
            '@' => error.with_hint("text needs double quotes"),
            '?' => error.with_hint("write ifelse(condition, yes, no)"),
            _ => error,
        })
    }

    fn raw(&mut self) -> Result<(), Error> {
        let Some(length) = self.rest()[1..].find('`') else {
            return Err(Error::parse(
                Span::new(self.at, self.at + 1),
                "the text has no closing `",
            ));
        };
        let text = self.rest()[1..=length].replace('\r', "");
        self.push(Token::String(text.into_bytes()), length + 2);
        Ok(())
    }

    /// Reads text in single quotes, to reject it with its place and its correction.
    fn character(&mut self) -> Result<(), Error> {
        let line = self.rest().split('\n').next().unwrap_or_default();
        let Some(length) = line[1..].find('\'') else {
            let error = Error::parse(Span::new(self.at, self.at + 1), "the text has no closing '");
            return Err(error.with_hint("write text in double quotes"));
        };
        let text = line[1..=length].to_owned();
        self.push(Token::SingleQuoted(text), length + 2);
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let mut chars = self.text[self.at + 1..].char_indices();
        let base = self.at + 1;
        let open = Span::new(self.at, self.at + 1);
        loop {
            match chars.next() {
                None | Some((_, '\n')) => {
                    return Err(Error::parse(open, "the text has no closing \" on its line"));
                }
                Some((at, '"')) => {
                    self.push(Token::String(bytes), at + 2);
                    return Ok(());
                }
                Some((at, '\\')) => {
                    let rest = chars.as_str();
                    let Some((escape, length)) = escape(rest) else {
                        let shown = rest.chars().next().map_or(0, char::len_utf8);
                        let span = Span::new(base + at, base + at + 1 + shown);
                        let error = Error::parse(span, "an unknown escape");
                        return Err(error.with_hint("write \\\\ for a backslash, or put the text in `…`"));
                    };
                    bytes.extend_from_slice(&escape);
                    chars.by_ref().take(length).for_each(drop);
                }
                Some((_, other)) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}

/// Reads an escape after a backslash: its bytes and its number of characters.
fn escape(rest: &str) -> Option<(Vec<u8>, usize)> {
    let first = rest.chars().next()?;
    let simple = |byte: u8| Some((vec![byte], 1));
    let number = |skip: usize, digits: usize, radix: u32| {
        let text = rest.get(skip..skip + digits)?;
        let all = text.chars().all(|digit| digit.is_digit(radix));
        all.then(|| u32::from_str_radix(text, radix).ok()).flatten()
    };
    match first {
        'a' => simple(7),
        'b' => simple(8),
        'f' => simple(12),
        'n' => simple(b'\n'),
        'r' => simple(b'\r'),
        't' => simple(b'\t'),
        'v' => simple(11),
        '\\' => simple(b'\\'),
        '"' => simple(b'"'),
        'x' => Some((vec![u8::try_from(number(1, 2, 16)?).ok()?], 3)),
        '0'..='7' => Some((vec![u8::try_from(number(0, 3, 8)?).ok()?], 3)),
        'u' | 'U' => {
            let digits = if first == 'u' { 4 } else { 8 };
            let letter = char::from_u32(number(1, digits, 16)?)?;
            Some((letter.to_string().into_bytes(), 1 + digits))
        }
        _ => None,
    }
}

fn number_token(text: &str, span: Span) -> Result<Token, Error> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal {
        if text.starts_with('0') && text.bytes().any(|byte| byte > b'7') {
            return Err(
                Error::parse(span, "a number with a leading zero must be octal").with_hint("write it without the zero")
            );
        }
        return Ok(text
            .parse()
            .map_or(Token::Refused("a number beyond 64 bits"), Token::Int));
    }
    if text.ends_with('i') {
        return Ok(Token::Refused("an imaginary number"));
    }
    if text.contains('_')
        || text
            .get(..2)
            .is_some_and(|head| head.ends_with(char::is_alphabetic) && !head.ends_with(['e', 'E']))
    {
        return Ok(Token::Refused("a number that is not plainly decimal"));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Token::Float),
        Ok(_) => Ok(Token::Refused("a number that is too large")),
        Err(_) => Err(Error::parse(span, "an invalid number")),
    }
}
