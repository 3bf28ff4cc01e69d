//! Tests of all messages about a request.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::card::{CardCluster, DigestLine, Instructions, Place, Reader, ReminderKind};
use crate::domain::card::{access_ends, decision, digest, reminder};
use crate::domain::recipients::{Person, Reason};
use crate::domain::request::{
    AccessList, Constraints, RequestId, RequestKind, Resource, ResourceName, ResourceNames, Review,
};
use crate::domain::request::{Threshold, Verdict};
use crate::domain::review::ReasonRule;

fn request(stage: Stage) -> AccessRequest {
    let id = RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11");
    AccessRequest {
        roles: vec!["dba".to_owned()],
        stage,
        ..AccessRequest::new(id, "bob@example.com")
    }
}

fn cluster(web: bool) -> CardCluster {
    CardCluster {
        name: "teleport.example.com".to_owned(),
        web: web.then(|| "https://teleport.example.com".to_owned()),
        plugin: "teleport-msteams".to_owned(),
    }
}

fn view<'a>(cluster: &'a CardCluster, reader: &'a Reader, names: &'a ResourceNames) -> View<'a> {
    View {
        cluster,
        names,
        reader,
        now: Timestamp::UNIX_EPOCH,
        reviews: Some(ReasonRule::Optional),
    }
}

fn drawn(request: &AccessRequest, web: bool, reader: &Reader, names: &ResourceNames) -> Message {
    Content::Request(Arc::new(request.clone())).draw(view(&cluster(web), reader, names))
}

/// Returns every message about a request: the cards of each role, the decision, the end of access, reminders and a shared card.
fn every_message(request: &AccessRequest, web: bool, reader: &Reader, names: &ResourceNames) -> Vec<Message> {
    let cluster = cluster(web);
    let requester = Reader {
        role: Role::Requester,
        ..reader.clone()
    };
    let own = view(&cluster, &requester, names);
    let record = Remembered {
        id: request.id.clone(),
        user: request.user.clone(),
        roles: request.roles.join(","),
        reason: request.reason.clone(),
        reviews: request.reviews.len(),
        stage: request.stage,
        resolve_reason: request.resolve_reason.clone(),
    };
    let usage = request
        .reason
        .split_at_checked(400)
        .map_or("", |(text, _)| text)
        .to_owned();
    let instructions = Instructions::new(BTreeMap::new(), Some([usage.clone(), usage].join("\n")));
    let since = Duration::from_hours(1);
    let kinds = [ReminderKind::StillPending { since }, ReminderKind::ExpiresSoon];
    let reminders = kinds.map(|kind| {
        reminder(
            view(&cluster, reader, names),
            request,
            kind,
            Some("https://teams.example"),
        )
    });
    let escalated = Reader {
        reason: Some(Reason::Escalation {
            after: since,
            is_manager: true,
        }),
        ..reader.clone()
    };
    let content = Content::Request(Arc::new(request.clone()));
    let line = DigestLine::of(view(&cluster, reader, names), &content);
    let mut messages = vec![
        digest(view(&cluster, reader, names), &vec![line; 100]),
        drawn(request, web, reader, names),
        drawn(request, web, &escalated, names),
        drawn(request, web, &requester, names),
        Content::Record(record.clone()).draw(view(&cluster, reader, names)),
        Content::Record(record).draw(own),
        decision(own, request, &instructions),
        access_ends(own, request),
    ];
    messages.extend(reminders);
    messages
}

fn json(request: &AccessRequest, web: bool) -> String {
    let message = drawn(request, web, &Reader::default(), &ResourceNames::default());
    serde_json::to_string(&message.card).unwrap()
}

#[test]
fn a_request_of_an_odd_name_is_linked_and_shown_safely() {
    let mut odd = request(Stage::Pending);
    odd.id = RequestId::new("--help; rm [x](y)");
    assert!(!json(&odd, false).contains("tsh request"));
    let card = json(&odd, true);
    assert!(card.contains("/web/requests/--help%3B%20rm%20%5Bx%5D%28y%29"), "{card}");
}

#[test]
fn a_resolution_reason_that_a_review_contains_is_shown_once() {
    let mut denied = request(Stage::Denied);
    denied.resolve_reason = "not now ".to_owned();
    assert!(json(&denied, true).contains("Resolution"));
    denied.reviews = vec![Review {
        reason: "not now".to_owned(),
        ..Review::new("alice", Verdict::Deny)
    }];
    assert_eq!(json(&denied, true).matches("not now").count(), 1);
}

#[test]
fn the_size_is_that_of_utf16() {
    let mut request = request(Stage::Pending);
    request.reason = "Größe 日本 🧨".to_owned();
    let message = drawn(&request, true, &Reader::default(), &ResourceNames::default());
    let json = serde_json::to_string(&message.card).unwrap();
    assert_eq!(utf16_bytes(&message.card), json.encode_utf16().count() * 2);
}

#[test]
fn a_summary_is_plain_text() {
    let mut request = request(Stage::Pending);
    request.roles = vec!["db_admin".to_owned(), "dev".to_owned()];
    let summary = |request: &AccessRequest| drawn(request, true, &Reader::default(), &ResourceNames::default()).summary;
    assert_eq!(summary(&request), "bob@example.com requests db_admin and dev");
    request.stage = Stage::Approved;
    assert_eq!(
        summary(&request),
        "Approved: bob@example.com requested db_admin and dev"
    );
}

/// Calls `each` with every text that a client reads Markdown in.
fn each_text(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        // These are shown as they are.
        Value::Object(object) if object.get("type").is_some_and(|kind| kind == "TextRun") => {}
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if ["text", "title", "value"].contains(&key.as_str()) => each(text),
                    value => each_text(value, each),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| each_text(value, each)),
        _ => {}
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\"".to_owned()),
        Just("\u{1}x".to_owned()),
        Just("🧨".to_owned()),
        Just("[x](https://e.example)".to_owned()),
        Just("<at>All</at>".to_owned()),
        Just("*_`~#".to_owned()),
        "\\PC{1,8}"
    ]
}

fn stage() -> impl Strategy<Value = Stage> {
    proptest::sample::select(&Stage::SHOWN[..])
}

/// A request in which every name is `name`, every other text is `long`, and every list has `many` entries.
fn filled(stage: Stage, name: &str, long: &str, many: usize) -> AccessRequest {
    let text = || name.to_owned();
    let verdict = match stage {
        Stage::Approved => Verdict::Approve,
        Stage::Promoted => Verdict::Promote,
        _ => Verdict::Deny,
    };
    let review = Review {
        author: text(),
        reason: long.to_owned(),
        submitted_by: text(),
        thresholds: vec![0],
        ..Review::new("", verdict)
    };
    let constraints = [
        Constraints::Logins(vec![text(); many]),
        Constraints::AwsRoles(vec![text(); many]),
        Constraints::Other,
    ];
    let resource = |number: usize| Resource {
        sub_resource: text(),
        constraints: constraints.get(number % 4).cloned(),
        ..Resource::new(text(), text(), text())
    };
    let threshold = Threshold {
        name: text(),
        approve: 2,
        deny: 2,
    };
    AccessRequest {
        user: text(),
        roles: vec![text(); many],
        stage,
        reason: long.to_owned(),
        resolve_reason: long.to_owned(),
        reviews: vec![review; many / 2],
        resources: (0..many).map(resource).collect(),
        kind: if many.is_multiple_of(2) {
            RequestKind::LongTerm
        } else {
            RequestKind::ShortTerm
        },
        recommended_list: text(),
        promoted_to: Some(AccessList {
            name: text(),
            title: text(),
        }),
        thresholds: vec![threshold; many],
        threshold_sets: vec![(0..many).collect(); many.min(20)],
        ..request(stage)
    }
}

fn reader(long: &str, many: usize) -> Reader {
    Reader {
        place: if many.is_multiple_of(2) {
            Place::Channel
        } else {
            Place::Personal
        },
        reason: Some(Reason::Rule(Some(long.to_owned()))),
        others: vec![long.to_owned(); many],
        more_others: many,
        ..Reader::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_card_fits_whatever_is_in_it(piece in piece(), many in 0_usize..200, stage in stage()) {
        let long = piece.repeat(8_192 / piece.len());
        let name = &piece.repeat(2_048 / piece.len());
        let request = filled(stage, name, &long, many);
        let names = ResourceNames {
            cluster: name.clone(),
            names: [((name.clone(), name.clone()), ResourceName::Description(long.clone()))].into(),
            lists: [(name.clone(), name.clone())].into(),
        };
        for message in every_message(&request, many.is_multiple_of(3), &reader(name, many), &names) {
            prop_assert!(utf16_bytes(&message.card) <= LARGEST_CARD);
            prop_assert!(message.summary.chars().count() <= SUMMARY + 1);
        }
    }

    #[test]
    fn no_text_from_outside_is_markup(text in piece(), many in 0_usize..4, stage in stage()) {
        let names = ResourceNames {
            cluster: text.clone(),
            names: [((text.clone(), text.clone()), ResourceName::Name(text.clone()))].into(),
            lists: [(text.clone(), text.clone())].into(),
        };
        let request = filled(stage, &text, &text, many);
        let mut bare = Vec::new();
        for message in every_message(&request, many != 1, &reader(&text, many), &names) {
            let card = serde_json::to_value(&message.card).unwrap();
            each_text(&card, &mut |text| {
                let characters: Vec<char> = text.chars().collect();
                for (at, c) in characters.iter().enumerate() {
                    let before = at.checked_sub(1).map(|at| characters[at]);
                    let after = characters.get(at + 1).copied();
                    let is_safe = match c {
                        '[' | ']' | '*' | '_' => before == Some('\\'),
                        '<' | '~' => after == Some('\u{200B}'),
                        '`' | '\n' => false,
                        _ => true,
                    };
                    if !is_safe {
                        bare.push(text.to_owned());
                    }
                }
            });
        }
        prop_assert!(bare.is_empty(), "{:?}", bare);
    }
}

#[test]
fn people_are_mentioned_while_they_can_review() {
    let reader = Reader {
        place: Place::Channel,
        mentions: vec![Person {
            id: "42".to_owned(),
            name: "Alice Liddell".to_owned(),
        }],
        ..Reader::default()
    };
    let card = |stage| {
        let message = drawn(&request(stage), true, &reader, &ResourceNames::default());
        serde_json::to_value(&message.card).unwrap()
    };
    let pending = card(Stage::Pending);
    let mention = "<at>Alice Liddell</at>";
    assert_eq!(pending["msteams"]["entities"][0]["text"], mention);
    assert_eq!(pending["msteams"]["entities"][0]["mentioned"]["id"], "42");
    assert!(pending["body"].to_string().contains(mention));
    let approved = card(Stage::Approved);
    assert!(!approved.to_string().contains("at>") && approved["msteams"].is_null());
}

#[test]
fn the_requester_reads_who_was_asked_and_nothing_about_how_to_review() {
    let reader = |others: &[&str], more_others| Reader {
        role: Role::Requester,
        reason: Some(Reason::Suggested),
        others: others.iter().map(|other| (*other).to_owned()).collect(),
        more_others,
        ..Reader::default()
    };
    let drawn = |stage, reader: &Reader| {
        let message = drawn(&request(stage), true, reader, &ResourceNames::default());
        (serde_json::to_string(&message.card).unwrap(), message.summary)
    };
    for (others, more, expected) in [
        (&["alice@example.com"][..], 0, "Asked to review: alice@example.com."),
        (
            &["alice@example.com", "DB"],
            2,
            "Asked to review: alice@example.com, DB and 2 more.",
        ),
        (&[], 1, "1 recipient was asked to review."),
        (&[], 3, "3 recipients were asked to review."),
    ] {
        let (card, summary) = drawn(Stage::Pending, &reader(others, more));
        assert!(card.contains(expected), "{card}");
        assert_eq!(summary, "Your request for dba is pending");
    }
    let (card, _) = drawn(Stage::Pending, &reader(&[], 0));
    for of_reviewers in [
        "asked",
        "Action.Execute",
        "tsh",
        "cannot review",
        "suggested",
        "Review in",
    ] {
        assert!(!card.contains(of_reviewers), "{of_reviewers}: {card}");
    }
    assert!(card.contains("View in Teleport"));
    let (card, summary) = drawn(Stage::Approved, &reader(&["alice@example.com"], 0));
    assert!(!card.contains("Asked") && card.contains("Your request for dba"));
    assert_eq!(summary, "Approved: your request for dba");
}

#[test]
fn an_escalated_request_shows_why_while_it_is_pending() {
    for (place, is_manager, expected) in [
        (Place::Personal, false, "You are a recipient of escalated requests."),
        (
            Place::Channel,
            false,
            "This channel is a recipient of escalated requests.",
        ),
        (
            Place::GroupChat,
            false,
            "This chat is a recipient of escalated requests.",
        ),
        (
            Place::Personal,
            true,
            "You are the manager of a recipient who has not reviewed.",
        ),
    ] {
        let reader = Reader {
            place,
            reason: Some(Reason::Escalation {
                after: Duration::from_mins(90),
                is_manager,
            }),
            ..Reader::default()
        };
        let card = |stage| {
            let message = drawn(&request(stage), true, &reader, &ResourceNames::default());
            serde_json::to_string(&message.card).unwrap()
        };
        let pending = card(Stage::Pending);
        assert!(pending.contains("Escalated: still pending after 1 hour 30 minutes"));
        assert!(pending.contains(expected), "{pending}");
        assert!(!card(Stage::Denied).to_lowercase().contains("escalated"));
    }
}

#[test]
fn a_delegate_reads_who_is_out_of_office_while_the_request_is_pending() {
    let reader = Reader {
        reason: Some(Reason::OutOfOffice {
            person: "alice@example.com".to_owned(),
            name: "Alice [A](https://x)".to_owned(),
        }),
        ..Reader::default()
    };
    let card = |stage| {
        let message = drawn(&request(stage), true, &reader, &ResourceNames::default());
        serde_json::to_string(&message.card).unwrap()
    };
    let pending = card(Stage::Pending);
    assert!(pending.contains(" is out of office and named you"), "{pending}");
    assert!(
        pending.contains("You are named in the out-of-office message of Alice"),
        "{pending}"
    );
    assert!(!pending.contains("Alice [A](https://x)"), "{pending}");
    assert!(!card(Stage::Denied).contains("out of office"));
}
