//! Tests of shared cards without calls.

#[path = "learning_tests.rs"]
mod learning;

use std::sync::Arc;

use tokio::time::{advance, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::daemon::courier::{Placed, Undelivered};
use crate::daemon::outages::Services;
use crate::daemon::requests::digests::ticket::{Draft, NextStep};
use crate::domain::card::Remembered;
use crate::domain::lifecycle::{Claim, Outcome, Recipient, Record, Shown};
use crate::domain::request::{AccessRequest, RequestId, Resource, Stage};
use crate::msteams::{Endpoint, Error, Meaning, Operation, Retry};
use crate::teleport::PluginData;

const WITHIN: Duration = Duration::from_mins(10);

const ALICE: &str = "alice@example.com";

fn digests() -> Digests {
    let cluster = CardCluster {
        name: "teleport.example.com".to_owned(),
        web: None,
        plugin: "teleport-msteams".to_owned(),
    };
    Digests::new(cluster, WITHIN, LaneTable::default())
}

fn id(number: usize) -> RequestId {
    RequestId::new(format!("{number:03}"))
}

fn line(digests: &Digests, number: usize, stage: Stage) -> DigestLine {
    digests.line(&Content::Record(Remembered {
        id: id(number),
        user: "bob".to_owned(),
        roles: "dba".to_owned(),
        reason: String::new(),
        reviews: 0,
        stage,
        resolve_reason: String::new(),
    }))
}

fn admit(digests: &Digests, number: usize) -> Admitted<'_> {
    let line = line(digests, number, Stage::Pending);
    digests.admit("c", ALICE, 2, line, Urgency::Announcement)
}

/// Posts a card alone.
fn alone(digests: &Digests, number: usize) {
    match admit(digests, number) {
        Admitted::Alone(slot) => slot.keep(),
        Admitted::Shared(_) => panic!("{number} shares a card"),
    }
}

fn shared(digests: &Digests, number: usize) -> Ticket<'_> {
    match admit(digests, number) {
        Admitted::Alone(_) => panic!("{number} gets its own card"),
        Admitted::Shared(ticket) => ticket,
    }
}

fn change(digests: &Digests, number: usize, stage: Stage, urgency: Urgency) -> Ticket<'_> {
    digests.change(place(), ALICE, line(digests, number, stage), urgency)
}

fn place() -> CardPlace {
    ("c".to_owned(), "1".to_owned())
}

fn draft(ticket: &Ticket<'_>) -> Draft {
    match ticket.begin(&CancellationToken::new()) {
        NextStep::Draw(draft) => *draft,
        other => panic!("{other:?}"),
    }
}

/// Draws the card of a ticket, and returns the summary.
fn draw(ticket: &mut Ticket<'_>) -> String {
    let draft = draft(ticket);
    let placed = Placed {
        conversation: "c".to_owned(),
        activity: "1".to_owned(),
    };
    assert!(!ticket.end(&draft, &Ok(placed)));
    draft.message.summary
}

/// Returns whether a card is to be drawn although no delivery waits for it.
async fn is_wanted(digests: &Digests) -> bool {
    timeout(Duration::from_secs(1), digests.behind.notified()).await.is_ok()
}

/// Draws the only card that is behind, and returns the summary.
fn catch_up(digests: &Digests) -> String {
    let [digest] = digests.all_behind()[..] else {
        panic!("{:?}", digests.all_behind());
    };
    let mut ticket = digests.catch_up(digest).unwrap();
    assert!(digests.catch_up(digest).is_none(), "one delivery is enough");
    draw(&mut ticket)
}

fn is_shown(ticket: &Ticket<'_>) -> bool {
    matches!(ticket.begin(&CancellationToken::new()), NextStep::Shown(_))
}

/// Returns a record whose request shares the card, written last by this replica.
fn record(stage: Stage, owner: &str) -> Record {
    record_at(&place(), ALICE, stage, owner)
}

/// Returns such a record of a card at another place, or of another recipient.
fn record_at((conversation, activity): &CardPlace, recipient: &str, stage: Stage, owner: &str) -> Record {
    let mut record = Record {
        user: "bob".to_owned(),
        roles: "dba".to_owned(),
        claim: Some(Claim {
            held: false,
            owner: owner.to_owned(),
            beat: 1,
            witness: None,
        }),
        ..Record::default()
    };
    let posted = Outcome::Posted {
        recipient: Recipient::reviewer(recipient),
        activity: activity.clone(),
        conversation: conversation.clone(),
        replacement: false,
        digest: true,
        shown: Shown::new(stage, 0),
    };
    record.note(posted, Timestamp::UNIX_EPOCH);
    record
}

fn records(each: &[(usize, Stage)]) -> PluginData {
    let records = each.iter().map(|(number, stage)| (*number, record(*stage, "me")));
    encoded(records)
}

/// Returns records as Teleport lists them, by the numbers of their requests.
fn encoded(records: impl IntoIterator<Item = (usize, Record)>) -> PluginData {
    let encoded = records.into_iter().map(|(number, record)| {
        let mut map = record.encode();
        map.retain(|_, value| !value.is_empty());
        (id(number).to_string(), Some(map))
    });
    encoded.collect()
}

/// Returns a failure of Microsoft.
fn error(retry: Retry) -> Error {
    Error::new(Operation::Update, Meaning::Unreachable, retry)
}

fn gone() -> Undelivered {
    let error = Error::new(Operation::Update, Meaning::Gone, Retry::Never);
    Undelivered::Gone(error, "c".to_owned())
}

/// Returns the only known card.
fn only(digests: &Digests) -> DigestId {
    let table = digests.lock();
    assert_eq!(table.digests.len(), 1);
    *table.digests.keys().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn cards_count_for_a_while() {
    let digests = digests();
    alone(&digests, 1);
    advance(WITHIN / 2).await;
    // A post that failed does not count.
    assert!(matches!(admit(&digests, 2), Admitted::Alone(_)));
    alone(&digests, 3);
    drop(shared(&digests, 4));
    advance(WITHIN / 2).await;
    // The card of the first request no longer counts; that of the third one and the shared card do.
    drop(shared(&digests, 5));
    advance(WITHIN).await;
    alone(&digests, 6);
    digests.tidy();
    assert_eq!(digests.lock().posts.len(), 1);
    advance(WITHIN).await;
    digests.tidy();
    assert!(digests.lock().posts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shared_card_takes_twenty_requests_for_a_while() {
    let digests = digests();
    (0..2).for_each(|number| alone(&digests, number));
    let mut first = shared(&digests, 2);
    assert_eq!(draw(&mut first), "1 Access Request needs review");
    for number in 3..22 {
        assert_eq!(shared(&digests, number).digest(), first.digest());
    }
    let second = shared(&digests, 22);
    assert_ne!(second.digest(), first.digest());
    // The same request joins the same card again.
    assert_eq!(shared(&digests, 22).digest(), second.digest());
    advance(WITHIN.saturating_sub(Duration::from_secs(1))).await;
    digests.count("c", 2);
    digests.count("c", 2);
    assert_eq!(shared(&digests, 23).digest(), second.digest());
    advance(Duration::from_secs(1)).await;
    assert_ne!(shared(&digests, 24).digest(), second.digest());
}

#[tokio::test(start_paused = true)]
async fn a_card_that_is_never_posted_does_not_count() {
    let digests = digests();
    (0..2).for_each(|number| alone(&digests, number));
    advance(WITHIN.saturating_sub(Duration::from_secs(1))).await;
    let ticket = shared(&digests, 2);
    ticket.leave(&id(2));
    assert!(matches!(ticket.begin(&CancellationToken::new()), NextStep::Closed));
    assert!(digests.lock().by_request.is_empty());
    advance(Duration::from_secs(1)).await;
    alone(&digests, 3);
    alone(&digests, 4);
}

#[tokio::test(start_paused = true)]
async fn a_card_that_may_exist_counts() {
    for undelivered in [
        Undelivered::Unconfirmed(error(Retry::FateUnknown)),
        Undelivered::Nameless(error(Retry::Never), "c".to_owned()),
    ] {
        let digests = digests();
        (0..2).for_each(|number| alone(&digests, number));
        advance(WITHIN.saturating_sub(Duration::from_secs(1))).await;
        let mut ticket = shared(&digests, 2);
        let sent = draft(&ticket);
        assert!(!ticket.end(&sent, &Err(undelivered)));
        ticket.leave(&id(2));
        drop(ticket);
        advance(Duration::from_secs(1)).await;
        alone(&digests, 3);
        drop(shared(&digests, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn one_drawing_serves_every_change_that_it_shows() {
    let digests = digests();
    (0..2).for_each(|number| alone(&digests, number));
    let mut tickets: Vec<_> = (2..5).map(|number| shared(&digests, number)).collect();
    assert_eq!(draw(&mut tickets[0]), "3 Access Requests need review");
    assert!(tickets.iter().all(is_shown));
    drop(tickets);
    let mut first = change(&digests, 2, Stage::Denied, Urgency::Review);
    let queued = draft(&first);
    // A queued update is drawn again, with the newest state and as urgent as that.
    let mut later = change(&digests, 3, Stage::Denied, Urgency::Review);
    let urgent = change(&digests, 4, Stage::Denied, Urgency::Resolution);
    assert!(queued.halt.is_cancelled());
    assert!(!first.end(&queued, &Err(Undelivered::NotBegun)));
    assert_eq!(draft(&later).urgency, Urgency::Resolution);
    assert_eq!(draw(&mut later), "All 3 Access Requests are resolved");
    assert!(is_shown(&urgent) && is_shown(&first));
    drop((first, later, urgent));
    assert!(digests.all_behind().is_empty());
    // A change that the card shows already needs no call.
    assert!(is_shown(&change(&digests, 4, Stage::Denied, Urgency::Resolution)));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_drawn_again_too_often_is_sent_and_then_drawn_once_more() {
    let digests = digests();
    let mut ticket = change(&digests, 0, Stage::Pending, Urgency::Review);
    for number in 1..=5 {
        let queued = draft(&ticket);
        drop(change(&digests, number, Stage::Pending, Urgency::Review));
        assert!(queued.halt.is_cancelled(), "{number}");
        ticket.end(&queued, &Err(Undelivered::NotBegun));
    }
    let sent = draft(&ticket);
    drop(change(&digests, 6, Stage::Pending, Urgency::Review));
    assert!(!sent.halt.is_cancelled());
    let placed = Placed {
        conversation: "c".to_owned(),
        activity: "1".to_owned(),
    };
    // No other delivery draws the last change.
    assert!(ticket.end(&sent, &Ok(placed)));
    assert_eq!(draw(&mut ticket), "7 Access Requests need review");
    assert!(digests.all_behind().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_late_state_does_not_set_a_line_back() {
    let digests = digests();
    drop(change(&digests, 1, Stage::Denied, Urgency::Resolution));
    let pending = AccessRequest::new(id(1), "bob");
    let pending = Arc::new(pending);
    digests.observe(&pending);
    let mut late = change(&digests, 1, Stage::Pending, Urgency::Review);
    assert_eq!(draw(&mut late), "The Access Request is resolved");
    // Teleport can revoke an approval.
    digests.observe(&Arc::new(AccessRequest {
        stage: Stage::Approved,
        ..AccessRequest::clone(&pending)
    }));
    assert_eq!(digests.all_behind().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_card_that_is_missing_is_given_up_only_the_second_time() {
    let digests = digests();
    draw(&mut change(&digests, 1, Stage::Pending, Urgency::Review));
    let mut ticket = change(&digests, 1, Stage::Denied, Urgency::Resolution);
    for is_behind in [true, false] {
        let sent = draft(&ticket);
        assert!(!ticket.end(&sent, &Err(gone())));
        assert_eq!(ticket.is_behind(), is_behind);
    }
    drop(ticket);
    assert!(digests.all_behind().is_empty() && !is_wanted(&digests).await);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_call_says_is_known_until_the_next_one() {
    let digests = digests();
    let mut ticket = change(&digests, 1, Stage::Pending, Urgency::Review);
    let mut end = |result| {
        let sent = draft(&ticket);
        ticket.end(&sent, &Err(result));
        ticket.failure().unwrap()
    };
    let failed = end(Undelivered::Later(error(Retry::Later(None)), None));
    assert_eq!((failed.not_before, failed.outage), (None, Services::of(Endpoint::Bot)));
    let asked = Some(Duration::from_mins(1));
    let failed = end(Undelivered::Later(error(Retry::Later(asked)), asked));
    // A call that did not start proves nothing.
    let unchanged = end(Undelivered::NotBegun);
    for failure in [failed, unchanged] {
        let expected = (Some(Instant::now() + Duration::from_mins(1)), Services::NONE);
        assert_eq!((failure.not_before, failure.outage), expected);
    }
    draw(&mut ticket);
    assert!(ticket.failure().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_only_waits_for_what_is_shown_is_not_relied_on() {
    let digests = digests();
    (0..2).for_each(|number| alone(&digests, number));
    let mut tickets: Vec<_> = (2..5).map(|number| shared(&digests, number)).collect();
    let sent = draft(&tickets[0]);
    let left = tickets.pop().unwrap();
    left.leave(&id(4));
    drop(left);
    let placed = Placed {
        conversation: "c".to_owned(),
        activity: "1".to_owned(),
    };
    assert!(
        tickets[0].end(&sent, &Ok(placed)),
        "the card shows the request that left"
    );
    assert!(is_shown(&tickets[1]));
    assert_eq!(draw(&mut tickets[0]), "2 Access Requests need review");
    drop(tickets);
    assert!(digests.all_behind().is_empty() && !is_wanted(&digests).await);
}

#[tokio::test(start_paused = true)]
async fn a_card_that_is_behind_when_the_last_delivery_leaves_is_drawn_again() {
    let digests = digests();
    draw(&mut change(&digests, 1, Stage::Pending, Urgency::Review));
    let mut halted = change(&digests, 1, Stage::Denied, Urgency::Resolution);
    let waits = change(&digests, 2, Stage::Pending, Urgency::Review);
    let sent = draft(&halted);
    assert!(!halted.end(&sent, &Err(Undelivered::NotBegun)));
    drop(halted);
    assert!(!is_wanted(&digests).await, "another delivery draws the card");
    drop(waits);
    assert!(is_wanted(&digests).await);
    let caught = digests.catch_up(digests.all_behind()[0]).unwrap();
    caught.give_up();
    // What another card notifies is not for this one.
    assert!(!is_wanted(&digests).await && digests.all_behind().is_empty());
    // No request is lost.
    digests.retry_behind();
    assert!(is_wanted(&digests).await);
    assert_eq!(catch_up(&digests), "1 Access Request needs review");
    assert!(is_shown(&change(&digests, 1, Stage::Denied, Urgency::Resolution)));
}
