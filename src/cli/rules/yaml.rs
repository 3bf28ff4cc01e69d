//! Parses YAML and JSON, with the place of every value.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::cli::rules::finding::{Finding, Place};

/// Maximum nesting of values; rules need seven levels.
const DEEPEST: usize = 64;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// Texts, and also numbers and booleans as written: a `plain` scalar may not be a string.
    Text {
        text: String,
        style: ScalarStyle,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Reads every document of a file; a list at the top is a list of documents, as `tctl --format=json` writes.
///
/// # Errors
/// The first syntax error.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Finding> {
    let mut reader = Reader {
        source: text,
        events: Parser::new_from_str(text),
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            event => match reader.node(event, span, 0)? {
                Node {
                    value: Value::List(items),
                    ..
                } => documents.extend(items),
                document => documents.push(document),
            },
        }
    }
    documents.retain(|document| !document.is_null());
    Ok(documents)
}

struct Reader<'a> {
    source: &'a str,
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Finding> {
        let event = self.events.next().transpose();
        event.map_err(|error| {
            let place = Place {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                length: 1,
                inside: None,
            };
            Finding::error(place, format!("this is not YAML: {}", error.info()))
        })
    }

    /// Finds the last occurrence of a text before a place.
    fn last_place_of(&self, text: &str, before: Place) -> Place {
        let lines = self.source.lines().take(before.line).enumerate();
        let found = lines.filter_map(|(index, line)| Some((index + 1, line, line.find(text)?)));
        found.last().map_or(before, |(line, content, at)| Place {
            line,
            column: content[..at].chars().count() + 1,
            length: text.chars().count(),
            inside: None,
        })
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Finding> {
        let place = Place {
            line: span.start.line(),
            column: span.start.col() + 1,
            length: span.len().max(1),
            inside: None,
        };
        if depth == DEEPEST {
            return Err(Finding::error(place, "values are nested too deep"));
        }
        let value = match event {
            Event::Scalar(_, _, _, Some(tag)) => {
                let tag = format!("{}{}", tag.handle, tag.suffix);
                let message = format!("YAML takes `{tag}` for a tag; put the text in quotes");
                return Err(Finding::error(self.last_place_of(&tag, place), message));
            }
            Event::Scalar(text, style, _, None) => Value::Text {
                text: text.into_owned(),
                style,
            },
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        None | Some((Event::SequenceEnd, _)) => break Value::List(items),
                        Some((event, span)) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                loop {
                    let key = match self.next()? {
                        None | Some((Event::MappingEnd, _)) => break Value::Map(entries),
                        Some((event, span)) => self.node(event, span, depth + 1)?,
                    };
                    if let Some((event, span)) = self.next()? {
                        entries.push((key, self.node(event, span, depth + 1)?));
                    }
                }
            }
            _ => return Err(Finding::error(place, "aliases are not read; write the value out")),
        };
        Ok(Node { place, value })
    }
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Text { text, style: ScalarStyle::Plain } if matches!(text.as_str(), "" | "~" | "null"))
    }

    pub(super) fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the value of a key; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let mut entries = self.entries().iter();
        let (_, value) = entries.find(|(name, _)| name.text() == Some(key))?;
        Some(value).filter(|value| !value.is_null())
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Finds the place of a part of this text in the file, or else in the text itself.
    pub(super) fn place_of(&self, source: &str, part: std::ops::Range<usize>) -> Place {
        let Value::Text { text, style } = &self.value else {
            return self.place.clone();
        };
        let (before, rest) = text.split_at_checked(part.start).unwrap_or((text, ""));
        let row = before.matches('\n').count();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = text[line_start..before.len()].chars().count();
        let line_text = text.lines().nth(row).unwrap_or_default();
        let inside = rest.get(..part.len()).unwrap_or(rest);
        let length = inside.lines().next().unwrap_or_default().chars().count().max(1);
        let found = match style {
            ScalarStyle::Literal => self.in_block(source, row, line_text),
            _ if text.contains('\n') => None,
            ScalarStyle::Plain => self.on_line(source, text, 0),
            ScalarStyle::SingleQuoted if !text.contains('\'') => self.on_line(source, text, 1),
            ScalarStyle::DoubleQuoted => return self.in_quotes(source, before, inside, length),
            _ => None,
        };
        match found {
            Some((line, first)) => Place {
                line,
                column: first + column,
                length,
                inside: None,
            },
            None => self.elsewhere(line_text, column, length),
        }
    }

    /// Returns a place inside the text itself, for a text whose lines differ from those of the file.
    fn elsewhere(&self, line_text: &str, column: usize, length: usize) -> Place {
        Place {
            inside: Some((column..column + length, line_text.to_owned())),
            ..self.place.clone()
        }
    }

    /// Returns the line and first column of a single-line text without escapes, after a number of quotes.
    fn on_line(&self, source: &str, text: &str, marks: usize) -> Option<(usize, usize)> {
        let line = source.lines().nth(self.place.line.checked_sub(1)?)?;
        let written: String = line.chars().skip(self.place.column - 1 + marks).collect();
        written
            .starts_with(text)
            .then_some((self.place.line, self.place.column + marks))
    }

    /// Returns the line and first column of a line in a block that begins with `|`.
    fn in_block(&self, source: &str, row: usize, line_text: &str) -> Option<(usize, usize)> {
        // The block indicator is at the end of the key's line, before the first line of the block.
        for first in [self.place.line, self.place.line.checked_sub(1)?] {
            let written = source.lines().nth(first + row)?;
            let indent = written.len().checked_sub(line_text.len())?;
            if written.ends_with(line_text) && written[..indent].bytes().all(|byte| byte == b' ') {
                return Some((first + row + 1, indent + 1));
            }
        }
        None
    }

    /// Skips the escapes of a quoted text.
    fn in_quotes(&self, source: &str, before: &str, inside: &str, length: usize) -> Place {
        let wide = |letter: char| match letter {
            '"' | '\\' | '\n' | '\t' | '\r' => 2,
            _ => 1,
        };
        let column = before.chars().map(wide).sum::<usize>();
        let place = Place {
            column: self.place.column + 1 + column,
            length: inside.chars().map(wide).sum::<usize>().max(1),
            ..self.place.clone()
        };
        // Rarer escapes are longer; then the decoded text is shown.
        let line = source
            .lines()
            .nth(self.place.line.saturating_sub(1))
            .unwrap_or_default();
        let mut written = line.chars().skip(place.column - 1);
        if inside
            .chars()
            .next()
            .is_none_or(|first| written.next() == Some(first) || wide(first) == 2)
        {
            return place;
        }
        self.elsewhere(&format!("{before}{inside}"), before.chars().count(), length)
    }
}
