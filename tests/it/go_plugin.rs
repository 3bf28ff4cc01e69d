//! Either plugin can continue where the other stopped.

use std::collections::BTreeMap;

use crate::support::{ALICE, BOB, Left, Town};
use crate::world::cluster::{Draft, Verdict};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Lets the daemon announce a request, and leaves its record as the Go plugin would have.
pub(crate) async fn announced_by_the_go_plugin(town: &mut Town) -> String {
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    let mut data = town.cluster.plugin_data(&id);
    data.retain(|key, _| !key.starts_with("x_"));
    town.cluster.set_plugin_data(&id, data);
    id
}

#[tokio::test]
async fn cards_of_the_go_plugin_are_updated_in_place() {
    let mut town = Town::start().await;
    let id = announced_by_the_go_plugin(&mut town).await;
    town.start_daemon().await;
    town.cluster.review(&id, "alice", Verdict::Approve, "one");
    town.reads(ALICE, "one").await;
    town.reads(BOB, "one").await;
    town.cluster.review(&id, "carol", Verdict::Approve, "two");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn the_record_has_what_the_go_plugin_wants_at_every_step() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft {
        user: "robin@example.com".to_owned(),
        roles: vec!["dba".to_owned(), "dev".to_owned()],
        reason: "Need to fix the index".to_owned(),
        approvals: 2,
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    let (claim, expect) = town.cluster.writes(&id)[0].clone();
    for key in [
        "user",
        "roles",
        "request_reason",
        "resources",
        "reviews_count",
        "resolution",
        "resolve_reason",
        "messages",
    ] {
        assert_eq!(expect[key], "", "{key}");
    }
    assert_eq!(claim["roles"], "dba,dev");

    let go_keys = |id: &str| {
        let mut data = town.cluster.plugin_data(id);
        data.retain(|key, _| !key.starts_with("x_"));
        data
    };
    let announced = go_keys(&id);
    let until = town.cluster.request(&id).unwrap().spec.unwrap().max_duration.unwrap();
    let until = jiff::Timestamp::from_second(until.seconds).unwrap().to_string();
    let messages = announced["messages"].clone();
    let base = [
        ("user", "robin@example.com"),
        ("roles", "dba,dev"),
        ("request_reason", "Need to fix the index"),
        ("messages", messages.as_str()),
        ("max_duration", until.as_str()),
    ];
    assert_eq!(announced, map(&base));
    assert_eq!(messages.split(',').count(), 2);

    town.cluster.review(&id, "alice", Verdict::Approve, "fine");
    town.reads(ALICE, "fine").await;
    town.reads(BOB, "fine").await;
    let reviewed = [&base[..], &[("reviews_count", "1")]].concat();
    town.cluster
        .until("the review is recorded", |state| {
            state.plugin_data[&id]["msteams"]
                .get("reviews_count")
                .is_some_and(|count| count == "1")
        })
        .await;
    assert_eq!(go_keys(&id), map(&reviewed));

    town.cluster.review(&id, "carol", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.cluster
        .until("the approval is recorded", |state| {
            state.plugin_data[&id]["msteams"].contains_key("resolution")
        })
        .await;
    let approved = [&reviewed[..], &[("resolution", "APPROVED"), ("resolve_reason", "ok")]].concat();
    assert_eq!(go_keys(&id), map(&approved));
    town.finish().await;
}

#[tokio::test]
async fn a_claim_of_the_go_plugin_is_respected_until_it_expires() {
    let mut town = Town::build().await;
    let id = town.cluster.create(Draft::default());
    let claim = map(&[
        ("user", "robin@example.com"),
        ("roles", "dba"),
        ("request_reason", "Need to fix the index"),
    ]);
    town.cluster.set_plugin_data(&id, claim);
    town.start_daemon().await;
    town.daemon().says("Access Request is claimed by another replica").await;
    assert_eq!(town.tenant.cards().len(), 0);
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_that_the_go_plugin_resolved_is_left_as_it_is() {
    let mut town = Town::start().await;
    let id = announced_by_the_go_plugin(&mut town).await;
    let mut data = town.cluster.plugin_data(&id);
    data.extend(map(&[("resolution", "APPROVED"), ("resolve_reason", "ok")]));
    town.cluster.set_plugin_data(&id, data);
    town.cluster.review(&id, "alice", Verdict::Approve, "");
    town.cluster.review(&id, "carol", Verdict::Approve, "ok");
    town.start_daemon().await;
    town.cluster.delete(&id);
    let next = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.sees(BOB, &["PENDING", "PENDING"]).await;
    town.settled(&next).await;
    town.leaves(Left::Stale(2), "the record of the Go plugin is made up");
    town.finish().await;
}
