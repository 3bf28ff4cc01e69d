//! The part of the Adaptive Card schema that our cards use. Nothing is newer than version 1.2, which every phone knows, except
//! the buttons of a review.

use std::collections::BTreeMap;

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
    /// Teams' own part of a card, which the schema does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    msteams: Option<TeamsPart>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub(super) enum Element {
    TextBlock(TextBlock),
    /// Texts that are shown as they are.
    RichTextBlock {
        inlines: Vec<TextRun>,
    },
    FactSet {
        facts: Vec<Fact>,
    },
    Container(Container),
    ActionSet(ActionSet),
    #[serde(rename = "Input.Text")]
    Input(Input),
}

/// A text; Teams reads Markdown in it.
#[expect(clippy::struct_excessive_bools, reason = "they are the schema's")]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TextBlock {
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) color: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spacing: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) is_subtle: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) wrap: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) separator: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'static str>,
    /// Hidden until a [`Toggle`] shows it.
    #[serde(rename = "isVisible", skip_serializing_if = "is_false", serialize_with = "not")]
    pub(super) hidden: bool,
}

/// A text that clients show as it is, without Markdown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) struct TextRun {
    pub(super) text: String,
    pub(super) font_type: &'static str,
}

/// Elements that are drawn together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) items: Vec<Element>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spacing: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) separator: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'static str>,
    #[serde(rename = "isVisible", skip_serializing_if = "is_false", serialize_with = "not")]
    pub(super) hidden: bool,
    /// What a press on the elements does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) select_action: Option<Action>,
}

/// Buttons inside the card.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionSet {
    pub(super) actions: Vec<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'static str>,
    #[serde(rename = "isVisible", skip_serializing_if = "is_false", serialize_with = "not")]
    pub(super) hidden: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Fact {
    pub(super) title: &'static str,
    pub(super) value: String,
}

/// A text that the reader types; only clients check it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Input {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) placeholder: &'static str,
    pub(super) is_multiline: bool,
    pub(super) max_length: usize,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) is_required: bool,
    /// Shown if a required input is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_message: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub(super) enum Action {
    #[serde(rename = "Action.OpenUrl")]
    OpenUrl { title: &'static str, url: String },
    #[serde(rename = "Action.ToggleVisibility")]
    Toggle(Toggle),
    #[serde(rename = "Action.Execute")]
    Execute(Execute),
    /// Opens a part of the card below the buttons.
    #[serde(rename = "Action.ShowCard")]
    ShowCard { title: &'static str, card: Part },
}

/// Sends a press to the bot.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Execute {
    pub(super) title: &'static str,
    pub(super) style: &'static str,
    pub(super) verb: &'static str,
    pub(super) data: BTreeMap<&'static str, String>,
    /// `none`; without it, the inputs of the part and of the card around it are sent and checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) associated_inputs: Option<&'static str>,
}

/// A part of a card that is hidden until a button opens it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "AdaptiveCard")]
pub(super) struct Part {
    pub(super) body: Vec<Element>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) actions: Vec<Action>,
}

/// Shows hidden elements and hides visible ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Toggle {
    pub(super) title: String,
    pub(super) target_elements: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TeamsPart {
    entities: Vec<Entity>,
}

/// A person that a text mentions; the text must contain `text` exactly.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Entity {
    r#type: &'static str,
    text: String,
    mentioned: Mentioned,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Mentioned {
    id: String,
    name: String,
}

impl Card {
    pub(super) fn new(body: Vec<Element>, actions: Vec<Action>, fallback_text: String) -> Self {
        Self {
            schema: "http://adaptivecards.io/schemas/adaptive-card.json",
            version: "1.2",
            fallback_text,
            body,
            actions,
            msteams: None,
        }
    }

    /// Declares the first version with `Action.Execute`. An older client shows the fallback text instead of the card.
    pub(super) fn with_execute(self) -> Self {
        Self { version: "1.4", ..self }
    }

    /// Notifies the people that the texts of the card mention, by user ID and name.
    pub(super) fn mention<'a>(&mut self, people: impl Iterator<Item = (&'a str, &'a str)>) {
        let entities: Vec<_> = people
            .map(|(id, name)| Entity {
                r#type: "mention",
                text: mention_text(name),
                mentioned: Mentioned {
                    id: id.to_owned(),
                    name: name.to_owned(),
                },
            })
            .collect();
        self.msteams = (!entities.is_empty()).then_some(TeamsPart { entities });
    }
}

/// Returns the text that stands for a mention in a text block.
pub(super) fn mention_text(name: &str) -> String {
    format!("<at>{name}</at>")
}

impl From<TextBlock> for Element {
    fn from(block: TextBlock) -> Self {
        Self::TextBlock(block)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Writes the opposite: `hidden` is `isVisible` in the schema.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn not<S: serde::Serializer>(value: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(!value)
}
