//! Which reminders of a request are due, and when the next one is.
//!
//! Times since the announcement are measured, not computed from the time of day, so a clock that jumps makes no reminder
//! due and prevents none. The ends of requests and of access are times of day.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::reminders::{ReminderStep, Sent};
use crate::domain::request::{AccessRequest, RequestKind, Stage};

/// When people are reminded of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReminderRules<'a> {
    /// Since the announcement, in order.
    pub after: &'a [Duration],
    pub before_expiry: Option<Duration>,
    pub access_ends: Option<Duration>,
    /// When further recipients are notified, since the announcement.
    pub escalate_after: Option<Duration>,
}

/// What the schedule of an announced request depends on.
#[derive(Clone, Copy, Debug)]
pub struct ReminderFacts<'a> {
    pub request: &'a AccessRequest,
    pub rules: ReminderRules<'a>,
    pub sent: &'a Sent,
    /// The time since the announcement.
    pub waited: Duration,
    pub now: Timestamp,
}

/// What is due for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueReminders {
    /// Every step that is due. All are recorded together, so overdue steps cause one message.
    pub steps: Vec<ReminderStep>,
    /// The step whose message is sent.
    pub message: Option<ReminderStep>,
    /// Further recipients are to be notified.
    pub escalated: bool,
    /// When the next step is due, after those above.
    pub next: Next,
}

/// When something is due: whichever comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// When the request has waited this long since the announcement.
    pub waited: Option<Duration>,
    /// The same for the notification of further recipients.
    pub escalation: Option<Duration>,
    /// A time of day.
    pub at: Option<Timestamp>,
}

impl Next {
    /// Returns whether nothing will be due.
    pub fn is_never(self) -> bool {
        self == Self::default()
    }
}

/// Returns what is due for a request that was announced.
///
/// Reminders are for pending requests, the end of access for approved ones. A reminder before the expiry is omitted if the
/// request was announced later than that, and a message about the end of access if the access is shorter.
pub fn due_reminders(facts: ReminderFacts<'_>) -> DueReminders {
    let mut due = DueReminders::default();
    match facts.request.stage {
        Stage::Pending if is_pending(facts.request, facts.now) => pending(facts, &mut due),
        Stage::Approved => approved(facts, &mut due),
        Stage::Pending | Stage::Denied | Stage::Promoted | Stage::Expired | Stage::Unknown => {}
    }
    due
}

/// Returns whether further recipients are due that long after the announcement.
pub fn is_escalated(request: &AccessRequest, after: Duration, waited: Duration, now: Timestamp) -> bool {
    is_pending(request, now) && after <= waited
}

/// Returns whether a request can still be reviewed.
fn is_pending(request: &AccessRequest, now: Timestamp) -> bool {
    request.stage.is_open() && !request.is_over(now)
}

fn pending(facts: ReminderFacts<'_>, due: &mut DueReminders) {
    let ReminderFacts {
        request,
        rules,
        sent,
        waited,
        now,
    } = facts;
    let is_left = |after: &Duration| !sent.contains(ReminderStep::After(*after));
    for after in rules.after.iter().copied().filter(is_left) {
        let step = ReminderStep::After(after);
        if after <= waited {
            due.steps.push(step);
            due.message = Some(step);
        } else {
            due.next.waited = due.next.waited.into_iter().chain([after]).min();
        }
    }
    let announced = before(now, waited);
    let expiry = rules.before_expiry.zip(request.expires);
    let expiry = expiry
        .map(|(early, end)| before(end, early))
        .filter(|at| *at > announced);
    match expiry {
        Some(at) if !sent.contains(ReminderStep::BeforeExpiry) => {
            if at <= now {
                due.steps.push(ReminderStep::BeforeExpiry);
                due.message = Some(ReminderStep::BeforeExpiry);
            } else {
                due.next.at = Some(at);
            }
        }
        Some(_) | None => {}
    }
    match rules.escalate_after {
        Some(after) if is_escalated(request, after, waited, now) => due.escalated = true,
        after => due.next.escalation = after,
    }
}

fn approved(facts: ReminderFacts<'_>, due: &mut DueReminders) {
    let ReminderFacts {
        request,
        rules,
        sent,
        now,
        ..
    } = facts;
    let step = ReminderStep::AccessEnds;
    let Some((early, end)) = rules.access_ends.zip(request.access_until) else {
        return;
    };
    let at = before(end, early);
    let decided = request.reviews.iter().filter_map(|review| review.created).max();
    let start = request.access_from.max(decided).or(request.created);
    let is_longer = start.is_none_or(|start| at > start);
    let ends = request.kind == RequestKind::ShortTerm && end > now && is_longer;
    if !ends || sent.contains(step) {
        return;
    }
    if at <= now {
        due.steps.push(step);
        due.message = Some(step);
    } else {
        due.next.at = Some(at);
    }
}

fn before(time: Timestamp, early: Duration) -> Timestamp {
    let early = SignedDuration::try_from(early).unwrap_or(SignedDuration::MAX);
    time.checked_sub(early).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::reminders::example::{HOUR, RULES, hour, request};
    use crate::domain::request::{Review, Verdict};

    const FIRST: ReminderStep = ReminderStep::After(HOUR);
    const SECOND: ReminderStep = ReminderStep::After(Duration::from_hours(4));

    fn at(request: &AccessRequest, hours: u64, sent: &[ReminderStep]) -> DueReminders {
        due_reminders(ReminderFacts {
            request,
            rules: RULES,
            sent: &sent.iter().copied().collect(),
            waited: HOUR * u32::try_from(hours).unwrap(),
            now: hour(hours.try_into().unwrap()),
        })
    }

    #[test]
    fn each_step_is_due_once_in_its_turn() {
        let pending = request(Stage::Pending);
        let expiry = Some(hour(9));
        let next = |waited, escalation| Next {
            waited: Some(waited),
            escalation,
            at: expiry,
        };
        let later = Some(2 * HOUR);
        assert_eq!(at(&pending, 0, &[]).next, next(HOUR, later));
        let first = at(&pending, 1, &[]);
        assert_eq!(
            (first.steps, first.message, first.next),
            (vec![FIRST], Some(FIRST), next(4 * HOUR, later))
        );
        let between = at(&pending, 2, &[FIRST]);
        assert!(between.steps.is_empty() && between.escalated);
        assert_eq!(between.next, next(4 * HOUR, None));
        assert_eq!(at(&pending, 4, &[FIRST]).message, Some(SECOND));
        let last = at(&pending, 9, &[FIRST, SECOND]);
        assert_eq!(
            (last.message, last.next),
            (Some(ReminderStep::BeforeExpiry), Next::default())
        );
        assert!(
            at(&pending, 9, &[FIRST, SECOND, ReminderStep::BeforeExpiry])
                .steps
                .is_empty()
        );
        assert_eq!(at(&pending, 10, &[]), DueReminders::default(), "expired");
    }

    #[test]
    fn overdue_steps_cause_one_message() {
        let due = at(&request(Stage::Pending), 9, &[]);
        assert_eq!(due.steps, [FIRST, SECOND, ReminderStep::BeforeExpiry]);
        assert_eq!(due.message, Some(ReminderStep::BeforeExpiry));
    }

    #[test]
    fn a_request_that_is_announced_shortly_before_it_expires_is_not_reminded_of() {
        let mut short = request(Stage::Pending);
        short.expires = Some(hour(1));
        assert_eq!(at(&short, 0, &[]).next.at, None);
    }

    #[test]
    fn the_requester_of_an_approved_request_is_notified_before_the_access_ends() {
        let approved = request(Stage::Approved);
        assert_eq!(at(&approved, 3, &[]).next.at, Some(hour(9)));
        assert_eq!(at(&approved, 9, &[]).message, Some(ReminderStep::AccessEnds));
        assert_eq!(at(&approved, 9, &[ReminderStep::AccessEnds]), DueReminders::default());
        assert_eq!(at(&approved, 10, &[]), DueReminders::default(), "the access has ended");
        let long = AccessRequest {
            kind: RequestKind::LongTerm,
            ..request(Stage::Approved)
        };
        assert_eq!(at(&long, 9, &[]), DueReminders::default());
        let late = AccessRequest {
            reviews: vec![Review {
                created: Some(hour(9)),
                ..Review::new("alice", Verdict::Approve)
            }],
            ..request(Stage::Approved)
        };
        assert_eq!(at(&late, 9, &[]), DueReminders::default(), "approved when it was due");
        let short = AccessRequest {
            access_until: Some(hour(1)),
            ..request(Stage::Approved)
        };
        assert_eq!(at(&short, 0, &[]), DueReminders::default(), "shorter than the notice");
        for stage in [Stage::Denied, Stage::Promoted, Stage::Expired, Stage::Unknown] {
            assert_eq!(at(&request(stage), 9, &[]), DueReminders::default(), "{stage}");
        }
    }

    proptest! {
        /// However time passes and the clock jumps, no step is due twice, and at most one message is due at a time.
        #[test]
        fn no_step_is_due_twice(moves in prop::collection::vec((0_u32..7_200, -90_000_i64..90_000), 1..40)) {
            let pending = request(Stage::Pending);
            let (mut waited, mut now, mut sent) = (Duration::ZERO, hour(0), Vec::new());
            for (passed, jump) in moves {
                waited += Duration::from_secs(passed.into());
                now = now.checked_add(SignedDuration::from_secs(i64::from(passed) + jump)).unwrap();
                let known = sent.iter().copied().collect();
                let facts = ReminderFacts { request: &pending, rules: RULES, sent: &known, waited, now };
                let due = due_reminders(facts);
                prop_assert!(due.steps.iter().all(|step| !sent.contains(step)));
                prop_assert_eq!(due.message.is_some(), !due.steps.is_empty());
                prop_assert!(due.next.waited.is_none_or(|next| next > waited));
                prop_assert!(due.next.escalation.is_none_or(|next| next > waited));
                prop_assert!(due.next.at.is_none_or(|next| next > now));
                sent.extend(due.steps);
            }
        }
    }
}
