//! The tables `[notify]`, `[escalation]` and `[digest]`: who is notified besides the reviewers, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Value;

use crate::config::duration::duration;
use crate::config::file::{Notes, Section};
use crate::config::recipients::addresses;
use crate::config::shown::{described, quoted};
use crate::domain::card::Instructions;
use crate::domain::recipients::RoutingTable;
use crate::domain::reminders::ReminderRules;

const VALID_DURATION: &str = hint!("Write a duration such as \"30m\" or \"4h\"");

/// Maximum number of reminders of one request.
const MOST_REMINDERS: usize = 20;

/// How and when people are notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    pub attention: Attention,
    /// The requester gets a card and a message with the decision.
    pub requester: bool,
    /// When recipients are reminded, counted from the announcement; in order, without duplicates.
    pub remind_after: Vec<Duration>,
    /// How long before a request expires recipients are reminded once more.
    pub remind_before_expiry: Option<Duration>,
    /// How long an announcement is held.
    pub grace: Option<Duration>,
    /// How long before granted access ends the requester is notified.
    pub access_ends: Option<Duration>,
    /// Owners are reminded of Access Lists that are due for review.
    pub access_lists: bool,
    /// The delegate that a recipient who is out of office names is notified, too.
    pub out_of_office: bool,
    /// How the message with an approval says to use the access.
    pub instructions: Instructions,
}

/// How recipients notice a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// An announcement also appears in the recipient's activity feed.
    pub alert: bool,
    /// An announcement in a channel mentions the reviewers that a rule or the request names.
    pub mention: bool,
}

impl NotifySettings {
    /// Returns when people are reminded of requests, and when requests are escalated.
    pub fn reminder_rules<'a>(&'a self, escalation: Option<&EscalationSettings>) -> ReminderRules<'a> {
        ReminderRules {
            after: &self.remind_after,
            before_expiry: self.remind_before_expiry,
            access_ends: self.access_ends,
            escalate_after: escalation.map(|settings| settings.after),
        }
    }
}

/// Who is notified of a request that is still pending after some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscalationSettings {
    /// Counted from the announcement.
    pub after: Duration,
    /// Further recipients, by role.
    pub routing: RoutingTable,
    /// Also notify the managers of the recipients who have not reviewed.
    pub manager: bool,
}

/// When several requests share one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestSettings {
    /// The number of cards that one conversation gets within ten minutes before further requests share a card.
    pub above: u32,
}

pub(super) fn notify(section: &mut Section<'_>, notes: &mut Notes) -> NotifySettings {
    NotifySettings {
        attention: Attention {
            alert: section.boolean("alert", notes).unwrap_or(true),
            mention: section.boolean("mention", notes).unwrap_or(true),
        },
        requester: section.boolean("requester", notes).unwrap_or(false),
        remind_after: durations(section, "remind_after", notes),
        remind_before_expiry: time(section, "remind_before_expiry", notes),
        grace: time(section, "grace", notes),
        access_ends: time(section, "access_ends", notes),
        access_lists: section.boolean("access_lists", notes).unwrap_or(false),
        out_of_office: section.boolean("out_of_office", notes).unwrap_or(false),
        instructions: instructions(section, notes),
    }
}

/// Returns `None` if nothing is escalated, or if it recorded a problem.
pub(super) fn escalation(section: &mut Section<'_>, notes: &mut Notes) -> Option<EscalationSettings> {
    let after = time(section, "after", notes);
    let manager = section.boolean("manager", notes);
    let key = section.key("role_to_recipients");
    let table = section.value("role_to_recipients");
    let routing = match table {
        None => RoutingTable::default(),
        Some(Value::Table(entries)) => {
            let mut roles = BTreeMap::new();
            for (role, value) in entries {
                if let Some(found) = addresses(&format!("{key}.{role:?}"), value, notes) {
                    roles.insert(role.clone(), found);
                }
            }
            let others = roles.remove("*").unwrap_or_default();
            RoutingTable::new(roles, others)
        }
        Some(other) => {
            let message = format!("expected a table, got {}", described(other));
            notes.problem(
                &key,
                message,
                hint!("Write [escalation.role_to_recipients] on a separate line"),
            );
            return None;
        }
    };
    let manager = manager.unwrap_or(false);
    let has_recipients = manager || table.is_some();
    match after {
        Some(after) if has_recipients => Some(EscalationSettings {
            after,
            routing,
            manager,
        }),
        Some(_) => {
            let hint = hint!("Add [escalation.role_to_recipients], or set manager = true");
            notes.problem(section.key("after"), "is set without recipients", hint);
            None
        }
        None => {
            if has_recipients && section.value("after").is_none() {
                let hint = hint!("Set it to a duration such as \"1h\"");
                notes.problem(section.key("after"), "missing", hint);
            }
            None
        }
    }
}

/// Returns `None` if every request gets its own card, or if it recorded a problem.
pub(super) fn digest(section: &mut Section<'_>, notes: &mut Notes) -> Option<DigestSettings> {
    let value = section.value("above")?;
    let above = match value {
        Value::Integer(number) => u32::try_from(*number).ok().filter(|above| *above > 0),
        _ => None,
    };
    if above.is_none() {
        let message = format!("expected a number of cards, got {}", described(value));
        let hint = hint!("Write a positive number without quotes, such as 10");
        notes.problem(section.key("above"), message, hint);
    }
    above.map(|above| DigestSettings { above })
}

/// Reads one positive duration.
fn time(section: &mut Section<'_>, key: &'static str, notes: &mut Notes) -> Option<Duration> {
    let text = section.string(key, notes)?;
    positive(&section.key(key), text, notes)
}

/// Reads a duration or a list of durations.
fn durations(section: &mut Section<'_>, key: &'static str, notes: &mut Notes) -> Vec<Duration> {
    let values = match section.value(key) {
        None => return Vec::new(),
        Some(Value::Array(values)) => values.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let mut durations = Vec::new();
    for value in values {
        if let Value::String(text) = value {
            durations.extend(positive(&section.key(key), text.trim(), notes));
        } else {
            let message = format!("expected durations, got {}", described(value));
            notes.problem(
                section.key(key),
                message,
                hint!("Write a list such as [\"1h\", \"4h\"]"),
            );
        }
    }
    durations.sort_unstable();
    durations.dedup();
    if durations.len() > MOST_REMINDERS {
        let message = format!("has {} times", durations.len());
        notes.problem(
            section.key(key),
            message,
            hint_with!("List at most {MOST_REMINDERS} times"),
        );
    }
    durations
}

fn positive(key: &str, text: &str, notes: &mut Notes) -> Option<Duration> {
    match duration(text) {
        // Plugin data name a reminder by its milliseconds.
        Ok(duration) if duration >= Duration::from_millis(1) => Some(Duration::from_millis(
            duration.as_millis().try_into().unwrap_or(u64::MAX),
        )),
        Ok(_) => {
            notes.problem(key, format!("{} is no time", quoted(text)), VALID_DURATION);
            None
        }
        Err(reason) => {
            notes.problem(key, format!("{} {reason}", quoted(text)), VALID_DURATION);
            None
        }
    }
}

fn instructions(section: &mut Section<'_>, notes: &mut Notes) -> Instructions {
    let key = section.key("instructions");
    let mut roles = BTreeMap::new();
    match section.value("instructions") {
        None => {}
        Some(Value::Table(entries)) => {
            for (role, value) in entries {
                if let Value::String(text) = value {
                    roles.insert(role.clone(), text.trim().to_owned());
                } else {
                    let message = format!("expected a text, got {}", described(value));
                    notes.problem(format!("{key}.{role:?}"), message, hint!("Put it in double quotes"));
                }
            }
        }
        Some(other) => {
            let message = format!("expected a table, got {}", described(other));
            notes.problem(key, message, hint!("Write [notify.instructions] on a separate line"));
        }
    }
    let others = roles.remove("*");
    Instructions::new(roles, others)
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;
    use crate::config::file::Root;

    /// Reads the three tables; returns them, or the problems, each in one line.
    fn read(text: &str) -> Result<(NotifySettings, Option<EscalationSettings>, Option<DigestSettings>), Vec<String>> {
        let table: Table = text.parse().unwrap();
        let (mut root, mut notes) = (Root::new(&table), Notes::default());
        let mut section = Section::take(&mut root, "notify", &mut notes);
        let notify = notify(&mut section, &mut notes);
        section.finish(&mut notes);
        let mut section = Section::take(&mut root, "escalation", &mut notes);
        let escalation = escalation(&mut section, &mut notes);
        section.finish(&mut notes);
        let mut section = Section::take(&mut root, "digest", &mut notes);
        let digest = digest(&mut section, &mut notes);
        section.finish(&mut notes);
        assert!(
            notes.asked.iter().all(|asked| asked.unknown.is_empty()),
            "{:?}",
            notes.asked
        );
        if notes.problems.is_empty() {
            Ok((notify, escalation, digest))
        } else {
            Err(notes.problems.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn everything_is_off_unless_it_is_set() {
        let (notify, escalation, digest) = read("").unwrap();
        let expected = NotifySettings {
            attention: Attention {
                alert: true,
                mention: true,
            },
            requester: false,
            remind_after: Vec::new(),
            remind_before_expiry: None,
            grace: None,
            access_ends: None,
            access_lists: false,
            out_of_office: false,
            instructions: Instructions::default(),
        };
        assert_eq!((notify, escalation, digest), (expected, None, None));
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            [notify]
            alert = false
            mention = false
            requester = true
            remind_after = ["4h", "1h", "60m"]
            remind_before_expiry = "30m"
            grace = "10s"
            access_ends = "1h"
            access_lists = true
            out_of_office = true
            [notify.instructions]
            dba = "Open https://db.example.com"
            [escalation]
            after = "2h"
            manager = true
            [escalation.role_to_recipients]
            dba = "carol@example.com"
            [digest]
            above = 10
        "#;
        let (notify, escalation, digest) = read(text).unwrap();
        assert_eq!(notify.remind_after, [Duration::from_hours(1), Duration::from_hours(4)]);
        assert_eq!(notify.grace, Some(Duration::from_secs(10)));
        assert!(notify.requester && notify.access_lists && notify.out_of_office && !notify.attention.alert);
        let escalation = escalation.unwrap();
        assert_eq!((escalation.after, escalation.manager), (Duration::from_hours(2), true));
        assert_eq!(escalation.routing.addresses()[0].as_str(), "carol@example.com");
        assert_eq!(digest, Some(DigestSettings { above: 10 }));
        let (one, ..) = read("[notify]\nremind_after = \"90s\"").unwrap();
        assert_eq!(one.remind_after, [Duration::from_secs(90)]);
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_key_and_a_hint() {
        for (text, expected) in [
            (
                "[notify]\nremind_after = [\"1 hour\"]",
                "notify.remind_after: \"1 hour\" is not a duration",
            ),
            (
                "[notify]\nremind_after = [1]",
                "notify.remind_after: expected durations, got the number 1",
            ),
            ("[notify]\ngrace = \"0s\"", "notify.grace: \"0s\" is no time"),
            (
                "[notify]\naccess_ends = \"-1h\"",
                "notify.access_ends: \"-1h\" is negative",
            ),
            (
                "[notify]\ninstructions = \"tsh\"",
                "notify.instructions: expected a table",
            ),
            (
                "[notify.instructions]\ndba = 1",
                "notify.instructions.\"dba\": expected a text",
            ),
            (
                "[escalation]\nafter = \"1h\"",
                "escalation.after: is set without recipients",
            ),
            ("[escalation]\nmanager = true", "escalation.after: missing"),
            (
                "[escalation]\nmanager = true\nafter = \"soon\"",
                "escalation.after: \"soon\" is not a duration",
            ),
            (
                "[escalation]\nafter = \"1h\"\nrole_to_recipients = \"x\"",
                "[escalation.role_to_recipients] on",
            ),
            ("[digest]\nabove = 0", "digest.above: expected a number of cards"),
            ("[digest]\nabove = \"10\"", "such as 10"),
        ] {
            let problems = read(text).unwrap_err();
            assert!(
                problems.len() == 1 && problems[0].contains(expected) && problems[0].contains("hint: "),
                "{text}: {problems:#?}"
            );
        }
    }
}
