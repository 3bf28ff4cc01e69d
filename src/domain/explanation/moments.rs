//! What happened to a request at which time, and what happens next.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::lifecycle::Record;
use crate::domain::reminders::{ReminderFacts, ReminderRules, ReminderStep, Sent, due_reminders};
use crate::domain::request::{AccessRequest, Stage};

/// What the moments of a request depend on.
#[derive(Clone, Copy, Debug)]
pub struct MomentFacts<'a> {
    pub request: &'a AccessRequest,
    pub record: Option<&'a Record>,
    pub sent: &'a Sent,
    pub rules: ReminderRules<'a>,
    /// Every further recipient of an escalation that is due has a card or a failed delivery.
    pub is_escalated: bool,
    /// How long announcements are held.
    pub grace: Option<Duration>,
    pub now: Timestamp,
}

/// Something that happens to a request at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub event: Event,
    /// `None` for a step that was sent under other settings.
    pub at: Option<Timestamp>,
    pub status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The announcement was held until then.
    Announcement,
    Reminder(ReminderStep),
    Escalation,
    /// A request without a decision expires.
    Expiry,
    AccessStarts,
    AccessEnds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Done,
    /// It is overdue: the daemon does it as soon as it runs.
    Due,
    Coming,
}

/// Returns what was sent, and what is coming, in order. The reminders of a request that is not announced yet count from the
/// announcement that is expected.
pub fn moments(facts: MomentFacts<'_>) -> Vec<Moment> {
    let MomentFacts {
        request, record, now, ..
    } = facts;
    let announced = record.and_then(|record| record.announced_at(request));
    let held_until = held_until(facts).filter(|_| announced.is_none());
    let start = announced.unwrap_or_else(|| held_until.unwrap_or(now).max(now));
    let mut moments: Vec<Moment> = facts.sent.steps().map(|step| done(facts, start, step)).collect();
    if let Some(at) = held_until.filter(|at| *at > now && record.is_none() && request.stage.is_open()) {
        moments.push(Moment::coming(Event::Announcement, at));
    }
    moments.extend(reminders(facts, announced, start).into_iter().map(|moment| {
        let is_done = (moment.event, moment.status) == (Event::Escalation, Status::Due) && facts.is_escalated;
        let status = if is_done { Status::Done } else { moment.status };
        Moment { status, ..moment }
    }));
    let mut add = |event, at: Option<Timestamp>| {
        moments.extend(at.filter(|at| *at > now).map(|at| Moment::coming(event, at)));
    };
    match request.stage {
        Stage::Pending => add(Event::Expiry, request.expires),
        Stage::Approved => {
            add(Event::AccessStarts, request.access_from);
            add(Event::AccessEnds, request.access_until);
        }
        Stage::Denied | Stage::Promoted | Stage::Expired | Stage::Unknown => {}
    }
    moments.sort_by_key(|moment| (moment.at, moment.status == Status::Coming));
    moments
}

/// Returns the end of the time for which the announcement is held.
fn held_until(facts: MomentFacts<'_>) -> Option<Timestamp> {
    facts
        .request
        .created
        .zip(facts.grace)
        .map(|(at, grace)| after(at, grace))
}

/// Follows the schedule from now on, as the daemon does: each step is due at one time, and only once.
fn reminders(facts: MomentFacts<'_>, announced: Option<Timestamp>, start: Timestamp) -> Vec<Moment> {
    let MomentFacts {
        request, rules, now, ..
    } = facts;
    let mut at = if announced.is_some() { now } else { start };
    let mut waited = Duration::try_from(at.duration_since(start)).unwrap_or_default();
    let (mut sent, mut is_escalated, mut moments) = (facts.sent.clone(), false, Vec::new());
    // Each round but the last finds a step.
    for round in 0..rules.after.len() + 4 {
        let due = due_reminders(ReminderFacts {
            request,
            rules,
            sent: &sent,
            waited,
            now: at,
        });
        let status = if round == 0 && announced.is_some() {
            Status::Due
        } else {
            Status::Coming
        };
        for step in &due.steps {
            let (event, at) = (Event::Reminder(*step), time_of(facts, start, *step).or(Some(at)));
            moments.push(Moment { event, at, status });
        }
        if due.escalated && !is_escalated {
            is_escalated = true;
            let at = rules.escalate_after.map(|waited| after(start, waited));
            let event = Event::Escalation;
            moments.push(Moment { event, at, status });
        }
        sent = sent.steps().chain(due.steps).collect();
        let since = due.next.waited.into_iter().chain(due.next.escalation);
        let next = since.map(|waited| after(start, waited)).chain(due.next.at).min();
        let Some(next) = next.filter(|next| *next > at) else {
            break;
        };
        waited = Duration::try_from(next.duration_since(start)).unwrap_or_default();
        at = next;
    }
    moments
}

fn done(facts: MomentFacts<'_>, start: Timestamp, step: ReminderStep) -> Moment {
    Moment {
        event: Event::Reminder(step),
        at: time_of(facts, start, step),
        status: Status::Done,
    }
}

/// Returns when a step is due by the current settings.
fn time_of(facts: MomentFacts<'_>, start: Timestamp, step: ReminderStep) -> Option<Timestamp> {
    let before = |end: Option<Timestamp>, early: Option<Duration>| {
        let early = SignedDuration::try_from(early?).ok()?;
        end?.checked_sub(early).ok()
    };
    let MomentFacts { request, rules, .. } = facts;
    match step {
        ReminderStep::After(waited) => Some(after(start, waited)),
        ReminderStep::BeforeExpiry => before(request.expires, rules.before_expiry),
        ReminderStep::AccessEnds => before(request.access_until, rules.access_ends),
    }
}

fn after(time: Timestamp, waited: Duration) -> Timestamp {
    let waited = SignedDuration::try_from(waited).unwrap_or(SignedDuration::MAX);
    time.checked_add(waited).unwrap_or(Timestamp::MAX)
}

impl Moment {
    fn coming(event: Event, at: Timestamp) -> Self {
        Self {
            event,
            at: Some(at),
            status: Status::Coming,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lifecycle::{Outcome, Recipient, Shown};
    use crate::domain::reminders::example::{HOUR, RULES, hour, request};

    /// The record of a request that was announced at hour zero.
    fn announced() -> Record {
        let mut record = Record::default();
        let posted = Outcome::Posted {
            recipient: Recipient::reviewer("alice@x.y"),
            activity: "1".to_owned(),
            conversation: "c".to_owned(),
            replacement: false,
            digest: false,
            shown: Shown::new(Stage::Pending, 0),
        };
        record.note(posted, hour(0));
        record
    }

    /// Lists the moments, each as its event, hour and status.
    fn listed(stage: Stage, record: Option<&Record>, sent: &[ReminderStep], grace: u64, now: i64) -> Vec<String> {
        listed_as(false, stage, record, sent, grace, now)
    }

    fn listed_as(
        is_escalated: bool,
        stage: Stage,
        record: Option<&Record>,
        sent: &[ReminderStep],
        grace: u64,
        now: i64,
    ) -> Vec<String> {
        let (request, sent) = (request(stage), sent.iter().copied().collect());
        let moments = moments(MomentFacts {
            request: &request,
            record,
            sent: &sent,
            rules: RULES,
            is_escalated,
            grace: Some(Duration::from_hours(grace)).filter(|grace| !grace.is_zero()),
            now: hour(now),
        });
        let line = |moment: Moment| {
            let event = match moment.event {
                Event::Reminder(ReminderStep::After(after)) => format!("after {}", after.as_secs() / 3_600),
                Event::Reminder(step) => format!("{step:?}"),
                event => format!("{event:?}"),
            };
            let hour = moment.at.map(|at| at.as_second() / 3_600);
            format!("{event} at {} {:?}", hour.unwrap_or(-1), moment.status)
        };
        moments.into_iter().map(line).collect()
    }

    #[test]
    fn a_pending_request_has_everything_ahead() {
        let record = announced();
        let expected = [
            "after 1 at 1 Coming",
            "Escalation at 2 Coming",
            "after 4 at 4 Coming",
            "BeforeExpiry at 9 Coming",
            "Expiry at 10 Coming",
        ];
        assert_eq!(listed(Stage::Pending, Some(&record), &[], 0, 0), expected);
        let expected = [
            "Announcement at 2 Coming",
            "after 1 at 3 Coming",
            "Escalation at 4 Coming",
            "after 4 at 6 Coming",
            "BeforeExpiry at 9 Coming",
            "Expiry at 10 Coming",
        ];
        assert_eq!(listed(Stage::Pending, None, &[], 2, 1), expected, "held until hour two");
    }

    #[test]
    fn steps_are_sent_overdue_or_coming() {
        let record = announced();
        let first = ReminderStep::After(HOUR);
        let expected = [
            "after 1 at 1 Done",
            "Escalation at 2 Due",
            "after 4 at 4 Due",
            "BeforeExpiry at 9 Coming",
            "Expiry at 10 Coming",
        ];
        assert_eq!(listed(Stage::Pending, Some(&record), &[first], 0, 5), expected);
        let lines = listed_as(true, Stage::Pending, Some(&record), &[first], 0, 5);
        assert_eq!(lines[1], "Escalation at 2 Done");
        let lines = listed_as(true, Stage::Pending, Some(&record), &[first], 0, 1);
        assert_eq!(lines[1], "Escalation at 2 Coming");
    }

    #[test]
    fn an_approved_request_has_the_end_of_its_access_ahead() {
        let record = announced();
        let expected = ["AccessEnds at 9 Coming", "AccessEnds at 10 Coming"];
        assert_eq!(listed(Stage::Approved, Some(&record), &[], 0, 3), expected);
        let none: [&str; 0] = [];
        assert_eq!(listed(Stage::Denied, Some(&record), &[], 0, 3), none);
        assert_eq!(
            listed(Stage::Denied, Some(&record), &[ReminderStep::After(3 * HOUR)], 0, 3),
            ["after 3 at 3 Done"]
        );
    }
}
