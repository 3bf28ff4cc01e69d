//! Tests of `stored.rs`.

use super::*;
use crate::domain::lifecycle::{Outcome, Posted};
use crate::domain::request::AccessRequest;

const LINK: &str = "https://teams.microsoft.com/l/channel/19%3ae06a7383ed98468f90217a35fa1980d7%40thread.tacv2/Approval%2520Channel%25202?groupId=f2b3c8ed-5502-4449-b76f-dc3acea81f1c&tenantId=ff882432-09b0-437b-bd22-ca13c0037ded";

/// What the Go plugin stored for two messages, taken from a running one.
const GO_MESSAGES: &str = "eyJpZCI6IjE3MTUwNzI3MDMwMDEiLCJ0cyI6IjA3IE1heSAyNCAwOTowNSBVVEMiLCJyaWQiOiJhbGljZUBleGFtcGxlLmNvbSJ9,eyJpZCI6IjE3MTUwNzI3MDM1NTIiLCJ0cyI6IjA3IE1heSAyNCAwOTowNSBVVEMiLCJyaWQiOiJodHRwczovL3RlYW1zLm1pY3Jvc29mdC5jb20vbC9jaGFubmVsLzE5JTNhZTA2YTczODNlZDk4NDY4ZjkwMjE3YTM1ZmExOTgwZDclNDB0aHJlYWQudGFjdjIvQXBwcm92YWwlMjUyMENoYW5uZWwlMjUyMDI/Z3JvdXBJZD1mMmIzYzhlZC01NTAyLTQ0NDktYjc2Zi1kYzNhY2VhODFmMWNcdTAwMjZ0ZW5hbnRJZD1mZjg4MjQzMi0wOWIwLTQzN2ItYmQyMi1jYTEzYzAwMzdkZWQifQ==";

fn card(activity: &str, recipient: &str) -> Posted {
    let posted_at = posted_at("2024-05-07T09:05:03Z".parse().unwrap());
    Posted {
        activity: activity.to_owned(),
        posted: posted_at,
        recipient: Recipient::reviewer(recipient),
        conversation: None,
        shown: None,
        digest: false,
        replacement: false,
    }
}

fn example() -> Record {
    Record {
        user: "bob@example.com".to_owned(),
        roles: "dba,dev".to_owned(),
        reason: "Need to fix the index".to_owned(),
        reviews: 1,
        cards: vec![card("1715072703001", "alice@example.com"), card("1715072703552", LINK)],
        access_until: Some("2024-05-14T09:05:00Z".parse().unwrap()),
        ..Record::default()
    }
}

#[test]
fn the_go_plugins_record_is_written_byte_for_byte() {
    let mut map = example().encode();
    map.retain(|_, value| !value.is_empty());
    let expected = [
        ("user", "bob@example.com"),
        ("roles", "dba,dev"),
        ("request_reason", "Need to fix the index"),
        ("reviews_count", "1"),
        ("messages", GO_MESSAGES),
        ("max_duration", "2024-05-14T09:05:00Z"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(map, expected.into());
}

#[test]
fn what_is_written_is_read_again() {
    let mut record = example();
    record.claim = Some(Claim::parse("held me 3"));
    record.expires = Some("2024-05-14T09:05:00Z".parse().unwrap());
    record.cards[0].conversation = Some("19:a_b@unq.gbl.spaces".to_owned());
    record.cards[0].shown = Some(Shown::new(Stage::Pending, 1));
    record.refusals.insert(Recipient::reviewer("x@example.com"), refusal(3));
    record.delegates.push(Delegate {
        recipient: "eve@example.com".to_owned(),
        absent: LINK.to_owned(),
        name: "Zoë".to_owned(),
    });
    assert_eq!(stored_and_read(&record), record);
}

/// Teleport keeps no empty values.
fn stored_and_read(record: &Record) -> Record {
    let mut map = record.encode();
    map.retain(|_, value| !value.is_empty());
    Record::decode(&map).unwrap()
}

fn refusal(times: u32) -> Refusal {
    Refusal {
        why: "no such user".to_owned(),
        since: "2024-05-07T09:05:03Z".parse().unwrap(),
        at: Shown::new(Stage::Pending, 0),
        times,
        unconfirmed: false,
    }
}

#[test]
fn cards_of_other_audiences_and_digests_stay_out_of_the_go_plugins_messages() {
    let mut record = example();
    record.announced = Some("2024-05-07T09:05:03.25Z".parse().unwrap());
    let of = |audience, mut card: Posted| {
        card.recipient.audience = audience;
        card.conversation = Some("19:a_b@unq.gbl.spaces".to_owned());
        card.shown = Some(Shown::new(Stage::Pending, 1));
        card
    };
    record.cards[1] = of(Audience::Escalation, card("1715072703552", LINK));
    assert_eq!(
        record.encode()["messages"],
        GO_MESSAGES,
        "escalated cards are reviewers' cards"
    );
    let requester = of(Audience::Requester, card("1715072703560", "bob@example.com"));
    let decision = of(Audience::Decision, card("1715072703561", "bob@example.com"));
    let mut digest = of(Audience::Reviewers, card("1715072703562", "carol@example.com"));
    digest.digest = true;
    record.cards.extend([requester, decision, digest]);
    record
        .refusals
        .insert(Recipient::reviewer("bob@example.com"), refusal(1));
    for audience in [Audience::Requester, Audience::Decision] {
        let name = "bob@example.com".to_owned();
        record.refusals.insert(Recipient { audience, name }, refusal(2));
    }
    assert_eq!(record.encode()["messages"], GO_MESSAGES);
    assert_eq!(stored_and_read(&record), record);
}

#[test]
fn a_card_of_an_unknown_audience_is_kept_beside_the_others() {
    let map = [
        ("messages", GO_MESSAGES),
        (
            "x_other_cards",
            r#"[{"for":"auditor","id":"1"},{"for":"requester","id":"2","ts":"07 May 24 09:05 UTC","rid":"bob@example.com"}]"#,
        ),
    ];
    let map = map.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let record = Record::decode(&map.into()).unwrap();
    assert_eq!(record.cards[2].recipient.audience, Audience::Requester);
    let written = &record.encode()["x_other_cards"];
    assert!(
        written.contains(r#"{"for":"auditor","id":"1"}"#) && written.contains("requester"),
        "{written}"
    );
    assert_eq!(stored_and_read(&record), record);
}

#[test]
fn what_an_earlier_version_announced_keeps_its_time() {
    let request = AccessRequest {
        created: Some("2024-05-07T09:00:00Z".parse().unwrap()),
        ..AccessRequest::new(crate::domain::request::RequestId::new("1"), "bob")
    };
    let mut record = example();
    let posted = Outcome::Posted {
        recipient: Recipient::reviewer("carol@example.com"),
        activity: "3".to_owned(),
        conversation: "19:c@unq.gbl.spaces".to_owned(),
        replacement: false,
        digest: false,
        shown: Shown::new(Stage::Pending, 0),
    };
    record.note(posted, "2024-05-09T09:00:00Z".parse().unwrap());
    assert_eq!(
        (record.announced, record.announced_at(&request)),
        (None, request.created)
    );
    let mut unreachable = Record::default();
    assert_eq!(unreachable.announced_at(&request), None);
    let now = "2024-05-07T09:00:01Z".parse().unwrap();
    let refused = Outcome::Refused {
        recipient: Recipient::reviewer("x@example.com"),
        why: "no such user".to_owned(),
        shown: Shown::new(Stage::Pending, 0),
    };
    unreachable.note(refused, now);
    assert_eq!(unreachable.announced_at(&request), Some(now));
}

/// What version 0.1.0 wrote.
#[test]
fn refusals_and_cards_of_earlier_versions_are_read() {
    let map = [
        ("messages", GO_MESSAGES),
        (
            "x_cards",
            r#"[{"id":"1715072703552","c":"19:e0@thread.tacv2","s":"PENDING/0"}]"#,
        ),
        (
            "x_skipped",
            r#"{"x@example.com":{"why":"no such user","since":"2024-05-07T09:05:03Z","at":"PENDING/0"}}"#,
        ),
    ];
    let map = map.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let record = Record::decode(&map.into()).unwrap();
    assert_eq!(record.refusals[&Recipient::reviewer("x@example.com")], refusal(1));
    assert_eq!(record.cards[0].conversation, None);
    assert_eq!(record.cards[1].conversation.as_deref(), Some("19:e0@thread.tacv2"));
}

#[test]
fn cards_with_the_same_activity_id_stay_apart() {
    let mut record = example();
    for card in &mut record.cards {
        card.activity = "1".to_owned();
    }
    record.cards[1].conversation = Some("19:e0@thread.tacv2".to_owned());
    assert_eq!(stored_and_read(&record), record, "one card is the Go plugin's");
    record.cards[0].conversation = Some("19:a_b@unq.gbl.spaces".to_owned());
    assert_eq!(stored_and_read(&record), record);
    let shown = Shown::new(Stage::Approved, 1);
    let updated = Outcome::Updated {
        recipient: Recipient::reviewer(LINK),
        activity: "1".to_owned(),
        conversation: "19:e0@thread.tacv2".to_owned(),
        shown,
    };
    record.note(updated, "2024-05-07T09:05:03Z".parse().unwrap());
    assert_eq!(record.cards[0].shown, None);
    assert_eq!(record.cards[1].shown, Some(shown));
}

#[test]
fn what_requesters_write_does_not_fill_the_record() {
    let mut record = example();
    record.reason = "ß".repeat(500_000);
    for number in 0..5_300 {
        let mut refusal = refusal(1);
        refusal.why = "w".repeat(1_000);
        // The longest email address.
        let stranger = format!("{number:064}@{}.com", "x".repeat(251));
        record.refusals.insert(Recipient::reviewer(stranger), refusal);
    }
    let size = |record: &Record| record.encode().values().map(String::len).sum::<usize>();
    assert!(size(&record) < 90_000, "{} bytes", size(&record));
    record.brief = true;
    assert!(size(&record) < 2_000, "{} bytes", size(&record));
}

#[test]
fn a_time_that_is_not_set_is_written_as_go_writes_it() {
    let record = Record::default();
    assert_eq!(record.encode()["max_duration"], "0001-01-01T00:00:00Z");
    assert_eq!(Record::decode(&record.encode()).unwrap().access_until, None);
}

#[test]
fn entries_of_old_plugins_are_read_and_others_are_kept() {
    let messages = "17/07 May 24 09:05 UTC/alice@example.com,e30=,a/b".to_owned();
    let record = Record::decode(&[("messages".to_owned(), messages)].into()).unwrap();
    assert_eq!(record.cards, [card("17", "alice@example.com")]);
    assert_eq!(record.unreadable, ["e30=", "a/b"]);
    assert!(record.encode()["messages"].ends_with(",e30=,a/b"));
}
