//! The plan for a request in each state, whatever was seen and posted before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use teleport_msteams::domain::lifecycle::{
    Aim, Facts, Observed, Outcome, Plan, Posted, Recipient, Record, RefusalPauses, Shown, Step, Target, Why, Work, plan,
};
use teleport_msteams::domain::recipients::Address;
use teleport_msteams::domain::request::{AccessRequest, RequestId, Review, Stage, Verdict};

const NOW: &str = "2024-05-07T09:05:00Z";

fn request(stage: Stage, reviews: usize) -> AccessRequest {
    let review = Review {
        reason: "ok".to_owned(),
        ..Review::new("alice", Verdict::Approve)
    };
    AccessRequest {
        roles: vec!["dba".to_owned()],
        stage,
        reason: "fix".to_owned(),
        resolve_reason: "ok".to_owned(),
        reviews: vec![review; reviews],
        ..AccessRequest::new(RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11"), "bob")
    }
}

fn seen(stage: Stage, reviews: usize) -> Observed {
    Observed::Request(Arc::new(request(stage, reviews)))
}

fn target(text: &str) -> Target {
    Target::reviewer(Address::parse(text).unwrap())
}

/// Plans for the recipients `a@x.y` and `b@x.y`.
fn decide(observed: &Observed, record: Option<&Record>) -> Plan {
    decide_at(observed, record, NOW.parse().unwrap())
}

/// Plans at a moment at which the configuration was just loaded.
fn decide_at(observed: &Observed, record: Option<&Record>, now: Timestamp) -> Plan {
    plan(Facts {
        id: &RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11"),
        observed,
        record,
        targets: &[target("a@x.y"), target("b@x.y")],
        aliases: &HashSet::new(),
        retry_refused_before: now,
        refusal_pauses: RefusalPauses {
            first: Duration::from_mins(1),
            longest: Duration::from_hours(1),
        },
        now,
    })
}

/// Carries a plan out; recipients in `refuse` cannot be notified.
fn carry_out(work: Work, record: &mut Record, refuse: &[&str]) {
    let now: Timestamp = NOW.parse().unwrap();
    let Aim {
        shown,
        resolve_reason,
        steps,
    } = work.aim;
    for step in steps {
        let outcome = match step {
            Step::Post(target) if refuse.contains(&target.address.as_str()) => Outcome::Refused {
                recipient: target.recipient(),
                why: "no such user".to_owned(),
                shown,
            },
            Step::Post(target) => Outcome::Posted {
                recipient: target.recipient(),
                activity: format!("{}-{}", target.address.as_str(), record.cards.len()),
                conversation: format!("chat of {}", target.address.as_str()),
                replacement: false,
                digest: false,
                shown,
            },
            Step::Update(card) => Outcome::Updated {
                recipient: card.recipient,
                activity: card.activity,
                conversation: "chat".to_owned(),
                shown,
            },
        };
        record.note(outcome, now);
    }
    record.conclude(shown, &resolve_reason);
}

/// Observes one state after another, and returns the record at the end.
fn live(history: &[Observed], refuse: &[&str]) -> Option<Record> {
    let mut record: Option<Record> = None;
    for observed in history {
        if let Plan::Work(work) = decide(observed, record.as_ref()) {
            carry_out(work, record.get_or_insert_default(), refuse);
        }
    }
    record
}

fn shown(record: &Record) -> Vec<String> {
    record.cards.iter().map(|card| record.shown(card).to_string()).collect()
}

#[track_caller]
fn nothing(observed: &Observed, record: Option<&Record>, expected: Why) {
    match decide(observed, record) {
        Plan::Nothing { why, .. } => assert_eq!(why, expected),
        Plan::Work(work) => panic!("{:?}", work.aim.steps),
    }
}

#[test]
fn a_pending_request_is_posted_to_each_recipient_once() {
    let record = live(&[seen(Stage::Pending, 0), seen(Stage::Pending, 0)], &[]).unwrap();
    assert_eq!(shown(&record), ["PENDING/0", "PENDING/0"]);
}

#[test]
fn a_request_resolved_before_its_announcement_is_not_announced() {
    for stage in [Stage::Approved, Stage::Denied, Stage::Promoted] {
        nothing(&seen(stage, 1), None, Why::NeverAnnounced);
    }
    nothing(&Observed::Gone(None), None, Why::NeverAnnounced);
}

#[test]
fn reviews_and_decisions_change_every_card() {
    let record = live(&[seen(Stage::Pending, 0), seen(Stage::Pending, 1)], &[]).unwrap();
    assert_eq!((shown(&record), record.reviews), (vec!["PENDING/1".to_owned(); 2], 1));
    for stage in [Stage::Approved, Stage::Denied, Stage::Promoted] {
        let record = live(&[seen(Stage::Pending, 0), seen(stage, 1)], &[]).unwrap();
        assert_eq!(shown(&record), vec![format!("{stage}/1"); 2]);
        assert_eq!((record.resolution, record.resolve_reason.as_str()), (Some(stage), "ok"));
    }
}

#[test]
fn an_approval_that_is_taken_back_is_shown() {
    let history = [
        seen(Stage::Pending, 0),
        seen(Stage::Approved, 1),
        seen(Stage::Denied, 1),
    ];
    assert_eq!(shown(&live(&history, &[]).unwrap()), ["DENIED/1", "DENIED/1"]);
}

#[test]
fn the_end_of_a_pending_request_closes_its_cards_and_keeps_its_reviews() {
    let last = Arc::new(request(Stage::Pending, 1));
    let history = [Observed::Request(Arc::clone(&last)), Observed::Gone(Some(last))];
    let record = live(&history, &[]).unwrap();
    assert_eq!(shown(&record), ["EXPIRED/1", "EXPIRED/1"]);
    assert_eq!(record.resolution, Some(Stage::Expired));
}

#[test]
fn the_end_of_an_access_that_was_granted_changes_nothing() {
    let record = live(&[seen(Stage::Pending, 0), seen(Stage::Approved, 1)], &[]).unwrap();
    nothing(&Observed::Gone(None), Some(&record), Why::UpToDate);
    let last = Some(Arc::new(request(Stage::Approved, 1)));
    nothing(&Observed::Gone(last), Some(&record), Why::UpToDate);
}

#[test]
fn a_late_view_never_sets_a_card_back() {
    let record = live(&[seen(Stage::Pending, 0), seen(Stage::Approved, 1)], &[]).unwrap();
    nothing(&seen(Stage::Pending, 0), Some(&record), Why::Behind);
    let record = live(&[seen(Stage::Pending, 2)], &[]).unwrap();
    nothing(&seen(Stage::Pending, 1), Some(&record), Why::Behind);
    let record = live(&[seen(Stage::Pending, 0), Observed::Gone(None)], &[]).unwrap();
    nothing(&seen(Stage::Pending, 0), Some(&record), Why::Behind);
}

#[test]
fn a_refused_recipient_is_skipped_and_the_others_are_not() {
    let record = live(&[seen(Stage::Pending, 0), seen(Stage::Pending, 0)], &["a@x.y"]).unwrap();
    assert_eq!(record.cards.len(), 1);
    assert_eq!(record.cards[0].recipient, Recipient::reviewer("b@x.y"));
    assert_eq!(record.refusals[&Recipient::reviewer("a@x.y")].why, "no such user");
}

#[test]
fn a_reload_or_a_restart_retries_a_refusal_but_repeats_no_post_that_may_have_arrived() {
    let later: Timestamp = "2024-05-07T09:05:03Z".parse().unwrap();
    for (outcome, retried) in [("refused", true), ("unconfirmed", false)] {
        let mut record = Record::default();
        let (recipient, why, shown) = (
            Recipient::reviewer("a@x.y"),
            String::new(),
            Shown::of(&request(Stage::Pending, 0)),
        );
        let outcome = match outcome {
            "refused" => Outcome::Refused { recipient, why, shown },
            _ => Outcome::Unconfirmed { recipient, why, shown },
        };
        record.note(outcome, NOW.parse().unwrap());
        let plan = decide_at(&seen(Stage::Pending, 0), Some(&record), later);
        let Plan::Work(work) = plan else {
            panic!("b@x.y has no card")
        };
        let posts_to_a = work.aim.steps.contains(&Step::Post(target("a@x.y")));
        assert_eq!(posts_to_a, retried, "{:?}", work.aim.steps);
    }
}

#[test]
fn cards_of_the_go_plugin_are_updated_in_place() {
    let card = Posted {
        activity: "17".to_owned(),
        posted: "07 May 24 09:05 UTC".to_owned(),
        recipient: Recipient::reviewer("A@x.y"),
        conversation: None,
        shown: None,
        replacement: false,
        digest: false,
    };
    let record = Record {
        cards: vec![card.clone()],
        resolution: Some(Stage::Approved),
        ..Record::default()
    };
    nothing(&seen(Stage::Approved, 1), Some(&record), Why::UpToDate);
    let Plan::Work(work) = decide(&seen(Stage::Denied, 1), Some(&record)) else {
        panic!("the card must change");
    };
    assert_eq!(work.aim.steps, [Step::Update(card)]);
}

#[test]
fn a_request_past_its_end_is_not_announced_any_more() {
    let mut late = request(Stage::Pending, 0);
    late.expires = Some("2024-05-07T09:04:59Z".parse().unwrap());
    nothing(&Observed::Request(Arc::new(late)), None, Why::UpToDate);
}

fn any_history() -> impl Strategy<Value = Vec<Observed>> {
    // A life of a request: pending with more and more reviews, perhaps a decision, perhaps the end.
    let decisions = prop_oneof![
        Just(None),
        Just(Some(Stage::Approved)),
        Just(Some(Stage::Denied)),
        Just(Some(Stage::Promoted))
    ];
    (0_usize..4, decisions, any::<bool>()).prop_map(|(reviews, decision, ends)| {
        let mut history: Vec<_> = (0..=reviews).map(|count| seen(Stage::Pending, count)).collect();
        history.extend(decision.map(|stage| seen(stage, reviews)));
        if ends {
            let last = match history.last() {
                Some(Observed::Request(last)) => Some(Arc::clone(last)),
                _ => None,
            };
            history.push(Observed::Gone(last));
        }
        history
    })
}

proptest! {
    #[test]
    fn planning_twice_does_nothing(history in any_history()) {
        let record = live(&history, &[]);
        let again = decide(history.last().unwrap(), record.as_ref());
        prop_assert!(matches!(again, Plan::Nothing { .. }), "{again:?}");
    }

    #[test]
    fn any_coalescing_of_a_history_ends_in_the_same_cards(
        history in any_history(),
        kept in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let whole = live(&history, &[]).unwrap();
        // The first state was seen, since a recipient was notified; the last one always is.
        let last = history.len() - 1;
        let coalesced = history.iter().enumerate().filter(|(at, _)| *at == 0 || *at == last || kept[*at]);
        let coalesced: Vec<_> = coalesced.map(|(_, observed)| observed.clone()).collect();
        let part = live(&coalesced, &[]).unwrap();
        prop_assert_eq!(shown(&part), shown(&whole));
        prop_assert_eq!(part.resolution, whole.resolution);
    }
}
