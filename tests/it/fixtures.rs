//! Records of released versions stay readable, and their format does not change.

use std::collections::BTreeMap;

use jiff::Timestamp;
use teleport_msteams::domain::lifecycle::{Claim, NamedByRule, Posted, Recipient, Record, Refusal, RoutedBy, Shown};
use teleport_msteams::domain::request::Stage;

type Map = BTreeMap<String, String>;

const CHAT: &str = "19:8d2ebb31-7109-4019-a596-2b06d540db6b_2d3a1c0e-7c1b-4f0e-9a57-3c9b8f5d2e11@unq.gbl.spaces";

fn written() -> BTreeMap<String, Map> {
    serde_json::from_str(include_str!("fixtures/records-0.1.0.json")).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn shown(stage: Stage, reviews: usize) -> Shown {
    Shown::new(stage, reviews)
}

#[test]
fn a_record_is_written_as_it_was_read() {
    for (name, map) in written() {
        let mut again = Record::decode(&map).unwrap().encode();
        again.retain(|_, value| !value.is_empty());
        assert_eq!(again, map, "{name}");
    }
}

#[test]
fn a_record_of_a_request_that_is_being_announced_is_read() {
    let record = Record::decode(&written()["announced by the routing table, and still delivering"]).unwrap();
    assert_eq!(
        (record.user.as_str(), record.roles.as_str()),
        ("bob@example.com", "dba,dev")
    );
    assert_eq!(record.access_until, Some(time("2026-12-03T09:05:00Z")));
    assert_eq!(record.expires, Some(time("2026-11-27T09:05:00Z")));
    assert_eq!(record.routed_by, RoutedBy::Table);
    let claim = Claim {
        held: true,
        owner: "9f1c2d3e4b5a69788796a5b4c3d2e1f0".to_owned(),
        beat: 7,
        witness: None,
    };
    assert_eq!(record.claim, Some(claim));
    let [alice, channel] = &record.cards[..] else {
        panic!("{:?}", record.cards)
    };
    let expected = Posted {
        activity: "1795683903001".to_owned(),
        posted: "26 Nov 26 09:05 UTC".to_owned(),
        recipient: Recipient::reviewer("alice@example.com"),
        conversation: Some(CHAT.to_owned()),
        shown: Some(shown(Stage::Pending, 0)),
        replacement: false,
        digest: false,
    };
    assert_eq!(*alice, expected);
    assert_eq!(channel.activity, alice.activity);
    assert!(
        channel.recipient.name.contains("&tenantId="),
        "{}",
        channel.recipient.name
    );
    assert!(channel.replacement);
    let refusals = [("carol@example.com", 1, false), ("dave@example.com", 3, true)];
    for (name, times, unconfirmed) in refusals {
        let refusal = &record.refusals[&Recipient::reviewer(name)];
        let Refusal { at, .. } = refusal;
        assert_eq!((refusal.times, refusal.unconfirmed), (times, unconfirmed), "{name}");
        assert_eq!(*at, shown(Stage::Pending, 0), "{name}");
    }
    assert_eq!(record.refusals.len(), refusals.len());
}

#[test]
fn a_record_of_a_resolved_request_is_read() {
    let record = &written()["denied, with recipients of rules and the witness of another replica"];
    let record = Record::decode(record).unwrap();
    assert_eq!(record.resolution, Some(Stage::Denied));
    assert_eq!((record.reviews, record.resolve_reason.as_str()), (1, "Not today"));
    assert_eq!(record.access_until, None);
    // This version recorded no names of rules.
    let named = ["alice@example.com", "on-call"].map(|recipient| NamedByRule {
        recipient: recipient.to_owned(),
        rule: None,
    });
    assert_eq!(record.routed_by, RoutedBy::Rules(named.into()));
    let claim = record.claim.clone().unwrap();
    assert!(!claim.held);
    assert_eq!(claim.witness.as_deref(), Some("00112233445566778899aabbccddeeff/4"));
    assert_eq!(record.shown(&record.cards[0]), shown(Stage::Denied, 2));
}
