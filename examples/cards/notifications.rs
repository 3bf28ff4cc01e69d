//! The kinds of messages for requesters, of reminders, and of cards after an escalation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use teleport_msteams::domain::card::{
    Content, Instructions, Message, Reader, ReminderKind, Role, access_ends, decision, reminder,
};
use teleport_msteams::domain::recipients::Reason;
use teleport_msteams::domain::request::{AccessList, AccessRequest, Review, Stage, Verdict};
use teleport_msteams::domain::review::ReasonRule;

use super::{HOUR, Kind, PLUGIN, channel, draw_with, reader, request, review, time, with_view};

/// A link to the message with the card.
const CARD: &str = "https://teams.microsoft.com/l/message/19%3A0d7f%40unq.gbl.spaces/1795672860000";

/// Returns the kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let kind = |name, title, message| Kind { name, title, message };
    let once = vec![review(
        "carol@example.com",
        Verdict::Approve,
        "Go ahead, and inform the on-call",
    )];
    let pending = AccessRequest {
        reviews: once.clone(),
        ..request(Stage::Pending)
    };
    let reviewed = |stage, verdict, reason: &str| AccessRequest {
        reviews: once
            .iter()
            .cloned()
            .chain([Review {
                submitted_by: PLUGIN.to_owned(),
                ..review("dan@example.com", verdict, reason)
            }])
            .collect(),
        resolve_reason: reason.to_owned(),
        ..request(stage)
    };
    let approved = reviewed(Stage::Approved, Verdict::Approve, "For the incident only");
    let denied = reviewed(Stage::Denied, Verdict::Deny, "Not during the release");
    let promoted = AccessRequest {
        promoted_to: Some(AccessList {
            name: "0d7f".to_owned(),
            title: "Database people".to_owned(),
        }),
        ..reviewed(Stage::Promoted, Verdict::Promote, "")
    };
    vec![
        kind(
            "requester-pending",
            "The requester's card of a pending request with one of two approvals.",
            card(&pending, &requester()),
        ),
        kind(
            "requester-approved",
            "The requester's card of an approved request.",
            card(&approved, &requester()),
        ),
        kind(
            "decision-approved",
            "The message to the requester of an approved request, with what the administrator writes about the access.",
            decided(&approved),
        ),
        kind(
            "decision-denied",
            "The message to the requester of a denied request.",
            decided(&denied),
        ),
        kind(
            "decision-promoted",
            "The message to the requester of a promoted request.",
            decided(&promoted),
        ),
        kind(
            "access-ends",
            "The message to the requester before granted access ends.",
            ending(&approved, true),
        ),
        kind(
            "access-ends-without-link",
            "The same message on a cluster without a Web UI.",
            ending(&approved, false),
        ),
        kind(
            "reminder",
            "A reminder in a chat, with a link to the card.",
            reminded(&pending, HOUR, Some(CARD)),
        ),
        kind(
            "reminder-channel",
            "A reminder in the thread of the card.",
            reminded(&pending, HOUR, None),
        ),
        kind(
            "reminder-expires",
            "A reminder before the request expires.",
            reminded(&request(Stage::Pending), 7 * 24 * HOUR - HOUR / 2, None),
        ),
        kind(
            "escalation",
            "A pending request after an escalation, as a recipient of escalated requests sees it.",
            escalated(&request(Stage::Pending), false),
        ),
        kind(
            "escalation-manager",
            "The same request, as the manager of a recipient sees it.",
            escalated(&request(Stage::Pending), true),
        ),
        kind(
            "out-of-office",
            "The same request, as the delegate of a recipient who is out of office sees it.",
            delegated(&request(Stage::Pending)),
        ),
    ]
}

/// Draws the message with the decision.
pub(crate) fn decided(request: &AccessRequest) -> Message {
    let usage = "tsh login --request-id={id}\ntsh db connect orders".to_owned();
    let instructions = Instructions::new(BTreeMap::new(), Some(usage));
    let now = time(12 * 60).unwrap_or_default();
    with_view(true, &requester(), now, |view| decision(view, request, &instructions))
}

pub(crate) fn requester() -> Reader {
    Reader {
        role: Role::Requester,
        reason: None,
        others: vec!["alice@example.com".to_owned(), "#Databases".to_owned()],
        more_others: 2,
        ..reader()
    }
}

/// Draws the card of a request, with buttons for reviewers.
pub(crate) fn card(request: &AccessRequest, reader: &Reader) -> Message {
    let content = Content::Request(Arc::new(request.clone()));
    draw_with(&content, true, reader, Some(ReasonRule::Optional))
}

/// Draws the message before the access ends.
pub(crate) fn ending(request: &AccessRequest, web: bool) -> Message {
    let now = time(7 * HOUR).unwrap_or_default();
    with_view(web, &requester(), now, |view| access_ends(view, request))
}

/// Draws a reminder some seconds after the announcement.
pub(crate) fn reminded(request: &AccessRequest, seconds: i64, card: Option<&str>) -> Message {
    let now = time(seconds).unwrap_or_default();
    let kind = if seconds > HOUR {
        ReminderKind::ExpiresSoon
    } else {
        ReminderKind::StillPending {
            since: Duration::from_hours(1),
        }
    };
    let reader = if card.is_some() { reader() } else { channel() };
    with_view(true, &reader, now, |view| reminder(view, request, kind, card))
}

fn escalated(request: &AccessRequest, is_manager: bool) -> Message {
    let reader = Reader {
        reason: Some(Reason::Escalation {
            after: Duration::from_hours(2),
            is_manager,
        }),
        ..reader()
    };
    card(request, &reader)
}

fn delegated(request: &AccessRequest) -> Message {
    let reader = Reader {
        reason: Some(Reason::OutOfOffice {
            person: "alice@example.com".to_owned(),
            name: "Alice Liddell".to_owned(),
        }),
        ..reader()
    };
    card(request, &reader)
}
