//! The part of the Adaptive Card schema that our cards use, with nothing newer than version 1.2: phones know no more.

use serde::Serialize;

/// A card as Teams takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "AdaptiveCard", rename_all = "camelCase")]
pub struct Card {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    /// Shown by a client that cannot draw the card.
    fallback_text: String,
    body: Vec<Element>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub(super) enum Element {
    TextBlock(TextBlock),
    ColumnSet { columns: Vec<Column> },
    FactSet { facts: Vec<Fact> },
}

/// A text; Teams reads Markdown in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct TextBlock {
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) color: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) wrap: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) separator: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub(super) struct Column {
    pub(super) width: &'static str,
    pub(super) items: Vec<Element>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Fact {
    pub(super) title: &'static str,
    pub(super) value: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub(super) enum Action {
    #[serde(rename = "Action.OpenUrl")]
    OpenUrl { title: &'static str, url: String },
}

impl Card {
    pub(super) fn new(body: Vec<Element>, link: Option<String>, fallback_text: String) -> Self {
        let open = link.map(|url| Action::OpenUrl { title: "Open", url });
        Self {
            schema: "http://adaptivecards.io/schemas/adaptive-card.json",
            version: "1.2",
            fallback_text,
            body,
            actions: open.into_iter().collect(),
        }
    }
}

impl From<TextBlock> for Element {
    fn from(block: TextBlock) -> Self {
        Self::TextBlock(block)
    }
}
