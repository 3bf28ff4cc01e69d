//! Requests that share one card, because their conversation got many.

mod replicas;
mod updates;

use std::slice::from_ref;
use std::time::Duration;

use teleport_msteams::domain::lifecycle::Record;

use crate::support::{ALICE, Left, Row, Town, newest, rows};
use crate::world::cluster::{ClusterState, Draft, State, Verdict};
use crate::world::gate::Gate;
use crate::world::tenant::{Card, Fault, Rule};

/// A town whose requests go to the channel, and share a card above this number.
async fn town_above(above: u32) -> Town {
    let mut town = Town::build().await;
    let config = config(&town, above, from_ref(&town.channel));
    town.start_daemon_with(&config).await;
    town
}

/// Starts a daemon that waits for held calls.
async fn start_patient_daemon(town: &mut Town, above: u32, recipients: &[String]) {
    let mut settings = town.settings(&config(town, above, recipients));
    settings.limits.microsoft_timeout = Duration::from_mins(10);
    town.start_daemon_on(settings).await;
}

/// A town with two daemons, whose requests go to the channel.
async fn with_replicas(above: u32) -> Town {
    let mut town = Town::build().await;
    let recipients = vec![town.channel.clone()];
    for _ in 0..2 {
        start_patient_daemon(&mut town, above, &recipients).await;
    }
    town
}

fn config(town: &Town, above: u32, recipients: &[String]) -> String {
    let table = town.config_for(&format!("\"*\" = {recipients:?}"));
    format!("{table}\n[digest]\nabove = {above}\n")
}

/// Creates one more request, for a role with this number.
fn ask(town: &Town, number: usize) -> String {
    town.cluster.create(Draft {
        roles: vec![format!("role-{number}")],
        approvals: 2,
        ..Draft::default()
    })
}

/// Creates requests and waits until each is recorded: the first one before the others, so that its card comes first.
async fn asked(town: &Town, mut numbers: std::ops::Range<usize>) -> Vec<String> {
    let first = ask(town, numbers.next().unwrap());
    town.settled(&first).await;
    let ids: Vec<_> = std::iter::once(first)
        .chain(numbers.map(|number| ask(town, number)))
        .collect();
    for id in &ids {
        town.settled(id).await;
    }
    ids
}

/// Returns the requests that share a card, as their records say.
fn sharing(town: &Town, ids: &[String]) -> Vec<String> {
    let shared = ids
        .iter()
        .filter(|id| Record::has_shared_card(&town.cluster.plugin_data(id)));
    shared.cloned().collect()
}

/// Waits until the records of requests on a shared card say this state, as in `DENIED/0`, or its beginning.
async fn recorded(town: &Town, ids: &[String], shown: &str) {
    let shown = format!("\"s\":\"{shown}");
    for id in ids {
        let what = format!("the record of {id} has {shown}");
        let says_so = |state: &ClusterState| {
            let data = state.plugin_data.get(id).and_then(|plugins| plugins.get("msteams"));
            let cards = data.and_then(|data| data.get("x_other_cards"));
            cards.is_some_and(|cards| cards.contains(&shown))
        };
        town.cluster.until(&what, says_so).await;
        town.settled(id).await;
    }
}

fn shared_cards(town: &Town, who: &str) -> Vec<Card> {
    let cards = town.chat(who).into_iter();
    cards.filter(|card| !rows(card).is_empty()).collect()
}

fn all_are(rows: &[Row], ids: &[String], word: &str) -> bool {
    let is_shown = |id: &String| rows.iter().any(|row| row.is_of(id) && row.word == word);
    rows.len() == ids.len() && ids.iter().all(is_shown)
}

/// Waits until the shared cards show that all requests are denied, after every replica has done its part.
async fn all_denied(town: &Town, ids: &[String]) {
    let what = "every result";
    town.shares(&town.channel, what, |rows| all_are(rows, ids, "DENIED"))
        .await;
    recorded(town, ids, "DENIED").await;
    town.shares(&town.channel, what, |rows| all_are(rows, ids, "DENIED"))
        .await;
}

/// Checks that the other cards of the channel are pending, and returns how many they are.
async fn pending_alone(town: &Town) -> usize {
    let cards = town.chat(&town.channel);
    let word = |card| if rows(card).is_empty() { "PENDING" } else { "?" };
    let words: Vec<_> = cards.iter().map(word).collect();
    town.sees(&town.channel, &words).await;
    words.iter().filter(|word| **word == "PENDING").count()
}

fn title(card: &Card) -> String {
    newest(card)["summary"].as_str().unwrap().to_owned()
}

/// Holds the updates of a chat, one after another.
fn hold_updates<const N: usize>(town: &Town) -> [Gate; N] {
    let gates: [Gate; N] = std::array::from_fn(|_| Gate::default());
    let each = gates
        .iter()
        .map(|gate| Rule::some(1, "PUT", "/activities/", Fault::Held(gate.clone())));
    let rules = each.collect();
    town.tenant.faults(|faults| faults.rules = rules);
    gates
}

#[tokio::test]
async fn requests_above_the_number_share_a_card_that_is_kept_up_to_date() {
    let town = town_above(5).await;
    let channel = &town.channel;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.extend(asked(&town, number..number + 1).await);
    }
    ids.extend(asked(&town, 5..12).await);
    let words = ["PENDING", "PENDING", "PENDING", "PENDING", "PENDING", "?"];
    town.sees(channel, &words).await;
    let members = sharing(&town, &ids);
    assert_eq!(members.len(), 7);
    town.shares(channel, "seven pending requests", |rows| {
        all_are(rows, &members, "PENDING")
    })
    .await;
    let shared = shared_cards(&town, channel);
    assert_eq!(title(&shared[0]), "7 Access Requests need review");
    // The card alerts once, not with each request.
    let alerts = shared[0]
        .history
        .iter()
        .filter(|activity| !activity["channelData"].is_null());
    assert_eq!(alerts.count(), 1);
    assert!(!newest(&shared[0]).to_string().contains("Action.Execute"));
    // The Go plugin would draw one request over the others.
    for id in &members {
        let data = town.cluster.plugin_data(id);
        assert!(data.get("messages").is_none_or(String::is_empty), "{data:?}");
    }
    assert_eq!(town.daemon().log().matches("Shared card posted").count(), 1);

    town.cluster.review(&members[2], "alice", Verdict::Approve, "");
    town.shares(channel, "one review", |rows| {
        let reviewed: Vec<_> = rows.iter().filter(|row| row.state == "Pending · 1 review").collect();
        reviewed.len() == 1 && reviewed[0].is_of(&members[2])
    })
    .await;
    for id in &ids {
        town.settled(id).await;
        town.cluster.set_state(id, State::Denied, "no");
    }
    town.shares(channel, "seven denied requests", |rows| {
        all_are(rows, &members, "DENIED")
    })
    .await;
    let words = ["DENIED", "DENIED", "DENIED", "DENIED", "DENIED", "?"];
    town.sees(channel, &words).await;
    assert_eq!(
        title(&shared_cards(&town, channel)[0]),
        "All 7 Access Requests are resolved"
    );
    recorded(&town, &members, "DENIED").await;
    for id in &ids {
        town.settled(id).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn other_conversations_get_their_own_cards() {
    let mut town = Town::build().await;
    let (channel, table) = (town.channel.clone(), format!("{:?}", town.channel));
    let recipients = format!("\"*\" = {table}\nspecial = [{table}, \"{ALICE}\"]");
    let config = format!("{}\n[digest]\nabove = 2\n", town.config_for(&recipients));
    town.start_daemon_with(&config).await;
    asked(&town, 0..2).await;
    let id = town.cluster.create(Draft {
        roles: vec!["special".to_owned()],
        ..Draft::default()
    });
    town.settled(&id).await;
    town.sees(&channel, &["PENDING", "PENDING", "?"]).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.shares(&channel, "the approval", |rows| {
        all_are(rows, from_ref(&id), "APPROVED")
    })
    .await;
    recorded(&town, from_ref(&id), "APPROVED").await;
    town.finish().await;
}

#[tokio::test]
async fn a_reload_turns_it_off_and_shared_cards_stay_up_to_date() {
    let town = town_above(1).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..3).await;
    let members = sharing(&town, &ids);
    assert_eq!(members.len(), 2);
    let off = town.load(&town.config_for(&format!("\"*\" = [{channel:?}]")));
    town.daemon().reload(off).await;
    let own = asked(&town, 3..4).await;
    assert!(sharing(&town, &own).is_empty());
    town.sees(&channel, &["PENDING", "?", "PENDING"]).await;
    town.cluster.set_state(&members[1], State::Denied, "no");
    town.shares(&channel, "one denied request", |rows| {
        rows.len() == 2 && rows.iter().filter(|row| row.word == "DENIED").count() == 1
    })
    .await;
    recorded(&town, &members[1..], "DENIED").await;
    let on = town.load(&config(&town, 1, from_ref(&channel)));
    town.daemon().reload(on).await;
    let more = asked(&town, 4..5).await;
    assert_eq!(sharing(&town, &more), more);
    town.finish().await;
}

#[tokio::test]
async fn pending_requests_of_a_deleted_shared_card_get_their_own() {
    let town = town_above(1).await;
    let channel = town.channel.clone();
    let ids = asked(&town, 0..3).await;
    let members = sharing(&town, &ids);
    town.sees(&channel, &["PENDING", "?"]).await;
    town.tenant.delete_card(&shared_cards(&town, &channel)[0].id);
    for id in &members {
        town.cluster.review(id, "alice", Verdict::Approve, "");
        town.daemon().says("Card was deleted, posting it again").await;
    }
    town.sees(&channel, &["PENDING", "?", "PENDING", "PENDING"]).await;
    for id in &members {
        town.settled(id).await;
        assert!(!Record::has_shared_card(&town.cluster.plugin_data(id)));
        town.cluster.set_state(id, State::Denied, "no");
    }
    town.sees(&channel, &["PENDING", "?", "DENIED", "DENIED"]).await;
    for id in &members {
        town.settled(id).await;
    }
    // The next request begins another shared card.
    let next = asked(&town, 3..4).await;
    assert_eq!(sharing(&town, &next), next);
    town.shares(&channel, "the next request", |rows| {
        rows.iter().any(|row| row.is_of(&next[0]))
    })
    .await;
    assert_eq!(shared_cards(&town, &channel).len(), 2);
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_would_join_a_deleted_card_begins_another() {
    let town = town_above(1).await;
    let channel = town.channel.clone();
    asked(&town, 0..2).await;
    town.sees(&channel, &["PENDING", "?"]).await;
    town.tenant.delete_card(&shared_cards(&town, &channel)[0].id);
    let next = asked(&town, 2..3).await;
    assert_eq!(sharing(&town, &next), next);
    town.sees(&channel, &["PENDING", "?", "?"]).await;
    let newest = shared_cards(&town, &channel).pop().unwrap();
    assert_eq!(title(&newest), "1 Access Request needs review");
    town.leaves(
        Left::Missing(1),
        "the card was deleted, and its request has not changed since",
    );
    town.finish().await;
}
