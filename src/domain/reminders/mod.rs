//! Reminders: what is due for a person at which time, besides the cards of a request.
//!
//! Architecture Invariant: pure; times are parameters. A step that was recorded as sent is never due again.

mod schedule;
mod sent;

pub use schedule::{DueReminders, Next, ReminderFacts, ReminderRules, due_reminders};
pub use sent::{ReminderStep, Sent};
