//! Elements that several messages have.

use crate::domain::card::schema::{Element, Fact, TextBlock, TextRun};
use crate::domain::card::text::{breakable, plain, squeezed};
use crate::domain::request::RequestId;

/// Characters of a line that is to be copied.
const LONGEST_COPIED: usize = 500;

/// Facts in their order; facts without a value are omitted, because no client accepts them.
#[derive(Default)]
pub(super) struct Facts(Vec<Fact>);

impl Facts {
    pub(super) fn add(&mut self, title: &'static str, value: impl AsRef<str>) {
        let value = breakable(value.as_ref());
        if !value.is_empty() {
            self.0.push(Fact { title, value });
        }
    }

    /// Adds a text that is to be copied.
    pub(super) fn add_command(&mut self, title: &'static str, value: String) {
        self.0.push(Fact { title, value });
    }

    pub(super) fn into_element(self) -> Option<Element> {
        (!self.0.is_empty()).then_some(Element::FactSet { facts: self.0 })
    }
}

/// Returns the line that says what a message is about.
pub(super) fn heading(text: String) -> TextBlock {
    TextBlock {
        text,
        size: Some("Medium"),
        weight: Some("Bolder"),
        wrap: true,
        ..TextBlock::default()
    }
}

/// Returns the title of the elements below it.
pub(super) fn title(text: &str) -> Element {
    Element::from(TextBlock {
        text: text.to_owned(),
        weight: Some("Bolder"),
        ..TextBlock::default()
    })
}

pub(super) fn block(text: String) -> Element {
    Element::from(TextBlock {
        text,
        wrap: true,
        ..TextBlock::default()
    })
}

/// Returns a line that is close to the one above it.
pub(super) fn line(text: String) -> Element {
    Element::from(TextBlock {
        text,
        spacing: Some("Small"),
        wrap: true,
        ..TextBlock::default()
    })
}

/// Returns a line that is to be copied: it is shown as it is.
pub(super) fn copied(text: &str) -> Element {
    Element::RichTextBlock {
        inlines: vec![TextRun {
            text: squeezed(text, LONGEST_COPIED),
            font_type: "Monospace",
        }],
    }
}

pub(super) fn small(text: String, separator: bool) -> Element {
    Element::from(TextBlock {
        text,
        size: Some("Small"),
        spacing: (!separator).then_some("None"),
        is_subtle: true,
        wrap: true,
        separator,
        ..TextBlock::default()
    })
}

/// Teleport's ids are UUIDs; one that is not is shown like any other text.
pub(super) fn shown_id(id: &RequestId) -> String {
    if is_clean(id.as_str()) {
        id.to_string()
    } else {
        plain(id.as_str(), 64)
    }
}

/// Returns whether a text can stand in a command that the reader copies.
pub(super) fn is_clean(text: &str) -> bool {
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.starts_with('-') && (1..=64).contains(&text.len()) && text.bytes().all(clean)
}
