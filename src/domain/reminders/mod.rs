//! Reminders: what is due for a person at which time, besides the cards of a request.
//!
//! Architecture Invariant: pure; times are parameters. A step that was recorded as sent is never due again.

mod access_lists;
#[cfg(test)]
pub(crate) mod example;
mod schedule;
mod sent;

pub use access_lists::{OpenReview, REMINDED, ReviewedList, Turn, Write, bundles};
pub use schedule::{DueReminders, Next, ReminderFacts, ReminderRules, due_reminders, is_escalated};
pub use sent::{ReminderStep, Sent};
