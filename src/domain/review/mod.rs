//! Reviews that people submit with the buttons of a card.
//!
//! Architecture Invariant: pure. What a button can ask for is defined here, for the card that shows it and for the
//! reader of the press. Teleport decides who may review.

mod button;
mod decision;
mod outcome;
mod submission;

pub use button::{LONGEST_REASON, REASON_INPUT, REQUEST_DATA, ReasonRule, VERB_DATA, Verb, is_request_id};
pub use decision::{Intent, Rejection, decide, explain};
pub use outcome::{Naming, Outcome, Refusal};
pub use submission::Submission;
