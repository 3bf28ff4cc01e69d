//! Fairness: a flood, a slow conversation or a large request delays no other recipient for long.

use std::time::Duration;

use teleport_msteams::config::{Limits, Settings};

use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::{Draft, State};
use crate::world::tenant::{Fault, Rule};

/// A request for these reviewers only.
fn draft(people: &[&str]) -> Draft {
    Draft {
        roles: vec!["by-reviewers".to_owned()],
        suggested_reviewers: people.iter().map(|person| (*person).to_owned()).collect(),
        ..Draft::default()
    }
}

/// A town that notifies only suggested reviewers.
async fn town(limits: impl FnOnce(Limits) -> Limits) -> Town {
    let mut town = Town::build().await;
    let settings = town.settings(&town.config_for("\"*\" = []"));
    let settings = Settings {
        limits: limits(settings.limits.clone()),
        ..settings
    };
    town.start_daemon_on(settings).await;
    town
}

#[tokio::test]
async fn a_resolution_overtakes_queued_announcements() {
    let town = town(|limits| limits).await;
    let decided = town.cluster.create(draft(&[ALICE]));
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&decided).await;
    // More than Bob may get in two minutes, and more than are announced at the same time.
    let waiting: Vec<_> = (0..200).map(|_| town.cluster.create(draft(&[BOB]))).collect();
    let never = waiting.last().unwrap();
    town.cluster.set_state(never, State::Denied, "no");
    town.cluster.set_state(&decided, State::Approved, "yes");
    town.sees(ALICE, &["APPROVED"]).await;
    assert!(town.chat(BOB).len() < 100, "Bob has {} cards", town.chat(BOB).len());
    // A request that is resolved before its announcement leaves its queue, and is never announced.
    town.daemon()
        .says(&format!("No delivery is due request.id={never} why=NeverAnnounced"))
        .await;
    assert!(town.chat(BOB).len() < 100, "Bob has {} cards", town.chat(BOB).len());
    assert!(town.cluster.plugin_data(never).is_empty());
}

#[tokio::test]
async fn announcements_are_posted_in_the_order_of_their_requests() {
    let mut town = Town::build().await;
    let mails: Vec<_> = (0..40).map(|number| format!("person-{number}@example.com")).collect();
    for mail in &mails {
        town.tenant.add_user(mail, Some(mail), mail);
    }
    // All recipients are cached beforehand, so that no delivery waits for a lookup.
    let config = format!(
        "preload = true\n{}",
        town.config_for(&format!("\"*\" = []\nknown = {mails:?}"))
    );
    town.start_daemon_with(&config).await;
    town.daemon().says("Recipient data preloaded and cached.").await;
    let mut order = Vec::new();
    for number in 0..300 {
        order.push(town.cluster.create(draft(&[&mails[number % mails.len()]])));
    }
    let mut changes = town.tenant.changes();
    let announced = async {
        while town.tenant.messages() < order.len() {
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), announced).await;
    assert!(waited.is_ok(), "{} were announced", town.tenant.messages());
    let mut cards: Vec<_> = town.tenant.cards().into_iter().map(|(_, card)| card).collect();
    cards.sort_by_key(|card| card.id.parse::<u64>().unwrap());
    for (place, card) in cards.iter().enumerate() {
        let text = card.history[0].to_string();
        let came = order.iter().position(|id| text.contains(id)).unwrap();
        // At most this many are in flight at the same time; among them, the fastest is first.
        assert!(
            came.abs_diff(place) < 64,
            "request {came} was announced as number {place}"
        );
    }
}

#[tokio::test]
async fn a_request_with_a_thousand_recipients_delays_no_other() {
    let town = town(|limits| limits).await;
    let mails: Vec<_> = (0..1_000)
        .map(|number| format!("person-{number}@example.com"))
        .collect();
    for mail in &mails {
        town.tenant.add_user(mail, Some(mail), mail);
    }
    let all: Vec<_> = mails.iter().map(String::as_str).collect();
    let large = town.cluster.create(draft(&all));
    town.cluster
        .until("the large request is claimed", |state| {
            state.plugin_data.contains_key(&large)
        })
        .await;
    town.cluster.create(draft(&[ALICE]));
    town.sees(ALICE, &["PENDING"]).await;
    let notified = town.tenant.messages();
    assert!(notified < 500, "{notified} recipients were notified before Alice");
}

#[tokio::test]
async fn an_unresponsive_conversation_does_not_use_up_the_quota_of_others() {
    // Nothing times out here, so only releasing the slot helps.
    let town = town(|limits| Limits {
        microsoft_timeout: Duration::from_hours(1),
        standing_still: Duration::from_millis(100),
        ..limits
    })
    .await;
    let conversation = format!("{}_", town.people["Bob"].id);
    town.tenant
        .faults(|faults| faults.rules.push(Rule::every("POST", &conversation, Fault::Hang)));
    for _ in 0..70 {
        town.cluster.create(draft(&[BOB]));
    }
    town.cluster.create(draft(&[ALICE]));
    town.sees(ALICE, &["PENDING"]).await;
    let hanging = town.tenant.calls();
    let hanging = hanging.iter().filter(|call| call.path.contains(&conversation));
    assert_eq!(hanging.count(), 2, "two may be on their way to one conversation");
}
