//! Orders of events that the search has found, each with a name.

use std::collections::BTreeMap;

use teleport_msteams::domain::lifecycle::{
    Claim, Entry, Lease, Outcome, Recipient, Record, RecordState, RunLog, Shown, Snapshot, StoredMap, Write,
};
use teleport_msteams::domain::request::Stage;

use crate::model::pure::now;
use crate::model::state::{Moment, TERM};

const PENDING: Shown = Shown::new(Stage::Pending, 0);
const REVIEWED: Shown = Shown::new(Stage::Pending, 1);
const APPROVED: Shown = Shown::new(Stage::Approved, 1);

/// A record with one pending card and a claim.
fn claimed(mark: &str) -> Snapshot {
    let mut record = Record::default();
    record.note(posted("1", PENDING), now());
    record.claim = Some(Claim::parse(mark));
    let mut map = record.encode();
    map.retain(|_, value| !value.is_empty());
    Snapshot {
        map: StoredMap::from(&map),
        record,
    }
}

fn posted(activity: &str, shown: Shown) -> Outcome {
    Outcome::Posted {
        recipient: Recipient::reviewer("alice@example.com"),
        activity: activity.to_owned(),
        conversation: "a".to_owned(),
        replacement: false,
        digest: false,
        shown,
    }
}

fn updated(shown: Shown) -> Outcome {
    Outcome::Updated {
        recipient: Recipient::reviewer("alice@example.com"),
        activity: "1".to_owned(),
        conversation: "a".to_owned(),
        shown,
    }
}

/// Writes as Teleport does, and returns whether the expectations were met.
fn swap(store: &mut BTreeMap<String, String>, write: &Write) -> bool {
    let met = |(key, value): (&String, &String)| store.get(key).map_or("", String::as_str) == value;
    let met = write.expect.iter().all(met);
    if met {
        store.extend(write.set.clone());
        store.retain(|_, value| !value.is_empty());
    }
    met
}

fn shows(store: &BTreeMap<String, String>) -> Shown {
    let record = Record::decode(store).unwrap();
    record.shown(&record.cards[0])
}

#[test]
fn a_claim_that_was_taken_over_stays_lost_although_an_entry_is_accepted_later() {
    let mut lease = Lease::new(Moment::Now);
    lease.lose();
    lease.renew(Moment::Now);
    assert_eq!(lease.left(Moment::Now, TERM), None);
}

#[test]
fn the_known_state_is_kept_if_there_is_nothing_to_read() {
    let known = claimed("held a 1");
    let mut stored = RecordState::Known(Box::new(known.clone()));
    stored.doubt();
    assert!(stored.is_in_doubt() && stored.record().is_none());
    stored.read(&BTreeMap::new());
    assert_eq!(stored.record(), Some(&known.record));
    stored.doubt();
    stored.read(&claimed("held b 1").map.to_map());
    assert_eq!(stored.record(), Some(&claimed("held b 1").record));
}

#[test]
fn an_overtaken_replica_writes_to_the_records_of_others_only_when_needed() {
    let mut account = RunLog::new(REVIEWED, "", claimed("held a 1"));
    let (record, ours) = account.take_over(&claimed("held b 1").map.to_map(), "a", now());
    assert!(!ours);
    assert_eq!(account.entry(record, Entry::Interim, Claim::parse("held a 2")), None);
}

/// `a` was cut off with an update on its way, `b` approved meanwhile, and only Microsoft knows which came last.
#[test]
fn of_two_concurrent_updates_the_earlier_state_is_recorded_regardless_of_order() {
    for a_first in [true, false] {
        let mut store = claimed("held b 1").map.to_map();
        let mut a = RunLog::new(REVIEWED, "", claimed("held a 1"));
        let mut b = RunLog::new(APPROVED, "", claimed("held b 1"));
        let of_b = b.note(vec![updated(APPROVED)], now());
        let last = Entry::Last { complete: true };
        let of_b = b.entry(of_b, last, Claim::parse("held b 2")).unwrap();
        if !a_first {
            assert!(swap(&mut store, &of_b));
        }
        let of_a = a.note(vec![updated(REVIEWED)], now());
        let of_a = a.entry(of_a, last, Claim::parse("held a 2")).unwrap();
        assert!(!swap(&mut store, &of_a), "b has claimed it");
        let (of_a, _) = a.take_over(&store, "a", now());
        let of_a = a.entry(of_a, last, Claim::parse("held a 3")).unwrap();
        assert!(swap(&mut store, &of_a));
        if a_first {
            assert!(!swap(&mut store, &of_b), "b has to see what a did");
            let (of_b, ours) = b.take_over(&store, "b", now());
            assert!(ours && Record::decode(&store).unwrap().claim.unwrap().owner == "b");
            let of_b = b.entry(of_b, last, Claim::parse("held b 3")).unwrap();
            assert!(swap(&mut store, &of_b));
            assert!(b.is_contested(), "b plans anew");
        } else {
            assert!(a.is_contested(), "a plans anew");
        }
        assert!(!shows(&store).stage.is_resolved(), "a replica updates it again");
        assert_eq!(Record::decode(&store).unwrap().resolution.is_some(), !a_first);
    }
}
