//! Times, and the words for what is explained.

use jiff::Timestamp;

use crate::cli::length::length;
use crate::domain::explanation::{CardState, Event, Freshness, Retry, Status};
use crate::domain::lifecycle::{Audience, Refusal, Shown};
use crate::domain::recipients::Reason;
use crate::domain::reminders::ReminderStep;

/// Writes a time and its distance, such as `2026-11-26 07:38:00 UTC (in 1h 30m)`.
pub(super) fn time(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", moment(at), distance(at, now))
}

/// Writes a time, such as `2026-11-26 07:38:00 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Writes how far away a time is, such as `in 1h 30m` or `2d ago`.
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    let left = at.duration_since(now);
    match (length(left.unsigned_abs()), left.is_negative()) {
        (length, _) if length == "0s" => "now".to_owned(),
        (length, false) => format!("in {length}"),
        (length, true) => format!("{length} ago"),
    }
}

/// Writes a number of reviews.
pub(super) fn reviews(count: usize) -> String {
    match count {
        0 => "no reviews".to_owned(),
        1 => "1 review".to_owned(),
        count => format!("{count} reviews"),
    }
}

/// Writes what a card shows, such as `PENDING with 1 review`.
fn shown(shown: Shown) -> String {
    format!("{} with {}", shown.stage, reviews(shown.reviews))
}

/// Writes where a recipient is named.
pub(super) fn why(audience: Audience, reason: Option<&Reason>) -> String {
    match (audience, reason) {
        (Audience::Requester, _) => "the requester, by notify.requester".to_owned(),
        (Audience::Decision, _) => "the requester, for the decision".to_owned(),
        (_, Some(Reason::Rule(Some(rule)))) => format!("Access Monitoring Rule {rule}"),
        (_, Some(Reason::OutOfOffice { person, .. })) => {
            format!("named in the out-of-office message of {person}")
        }
        (_, Some(reason)) => reason.to_string(),
        (Audience::Reviewers, None) => "not named by the current configuration".to_owned(),
        (Audience::Escalation, None) => "escalation, which is turned off now".to_owned(),
    }
}

/// Writes the state of a card.
pub(super) fn card(card: &CardState) -> String {
    let CardState {
        posted,
        freshness,
        is_digest,
        is_replacement,
        ..
    } = card;
    let freshness = match freshness {
        Freshness::Current => "current",
        Freshness::Stale => "stale, an update is due",
        Freshness::Ahead => "newer than what Teleport returned",
        Freshness::Fixed => "cannot be updated, because Microsoft returned no ID for it",
    };
    let kind = if *is_digest { "shared card (digest)" } else { "card" };
    let replacement = if *is_replacement {
        ", in place of a deleted one"
    } else {
        ""
    };
    let shown = shown(card.shown);
    format!("{kind} posted {posted}{replacement}, shows {shown}: {freshness}")
}

/// Writes a failed delivery.
pub(super) fn refusal(refusal: &Refusal, retry: Retry, now: Timestamp) -> String {
    let Refusal {
        why,
        since,
        times,
        unconfirmed,
        ..
    } = refusal;
    let what = if *unconfirmed {
        "not confirmed, so the card may exist"
    } else {
        "not delivered"
    };
    let times = match times {
        1 => "1 attempt".to_owned(),
        times => format!("{times} attempts"),
    };
    let retry = match retry {
        Retry::Now => "the next one is due now".to_owned(),
        Retry::At(at) => format!("the next one at {}", time(at, now)),
        Retry::Never => "there will be no further one".to_owned(),
        Retry::NotNeeded => "no further one is needed".to_owned(),
    };
    format!("{what}: {why}; {times}, the last one at {}; {retry}", time(*since, now))
}

/// Writes an event; `escalation` names the recipients of an escalation.
pub(super) fn event(event: Event, escalation: &str) -> String {
    match event {
        Event::Announcement => "announcement, held by notify.grace".to_owned(),
        Event::Reminder(ReminderStep::After(after)) => {
            format!("reminder after {}, to recipients who have not reviewed", length(after))
        }
        Event::Reminder(ReminderStep::BeforeExpiry) => {
            "reminder before the request expires, to recipients who have not reviewed".to_owned()
        }
        Event::Reminder(ReminderStep::AccessEnds) => "message to the requester that access ends soon".to_owned(),
        Event::Escalation => format!("escalation to {escalation}"),
        Event::Expiry => "the request expires".to_owned(),
        Event::AccessStarts => "access starts".to_owned(),
        Event::AccessEnds => "access ends".to_owned(),
    }
}

/// Writes when an event is, or that it is over.
pub(super) fn status(status: Status, at: Option<Timestamp>, now: Timestamp) -> String {
    match (status, at) {
        (Status::Done, _) => "done".to_owned(),
        (Status::Due, _) | (Status::Coming, None) => "due now".to_owned(),
        (Status::Coming, Some(at)) => distance(at, now),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_time_is_written_with_its_distance() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        assert_eq!(time(at(5_430), now), "1970-01-12 15:17:10 UTC (in 1h 30m)");
        assert_eq!(distance(at(-2 * 86_400), now), "2d ago");
        assert_eq!(distance(at(0), now), "now");
        assert_eq!(distance(at(86_405), now), "in 1d");
    }
}
