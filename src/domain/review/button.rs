//! The buttons of a card, as the card writes them and a press returns them.

/// The keys of a button's `data`. Teams adds the inputs of the card to the same object, by their IDs.
pub const REQUEST_DATA: &str = "request";
/// The verb of an `Action.Submit`, which has no property for it.
pub const VERB_DATA: &str = "verb";
/// The ID of the input for the reason.
pub const REASON_INPUT: &str = "reason";

/// Longest ID of a request in a button, in bytes. Teleport's are UUIDs.
const LONGEST_REQUEST_ID: usize = 128;

/// Longest reason in characters. Only clients check the length of an input.
pub const LONGEST_REASON: usize = 2_000;

/// Returns whether a text can be the ID of a request in a button.
pub fn is_request_id(text: &str) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Approve,
    Deny,
}

impl Verb {
    pub const ALL: [Self; 2] = [Self::Approve, Self::Deny];

    /// Returns the verb as a card has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }

    /// Parses the verb of a button.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text)
    }
}

/// When a review needs a reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReasonRule {
    #[default]
    Optional,
    /// To deny a request.
    Deny,
    Always,
}

impl ReasonRule {
    /// Returns whether a review with this verb needs a reason.
    pub fn requires(self, verb: Verb) -> bool {
        match self {
            Self::Optional => false,
            Self::Deny => verb == Verb::Deny,
            Self::Always => true,
        }
    }
}
