//! Texts and messages of Teleport that cannot be decoded: each affects only itself.

use std::collections::BTreeMap;

use crate::support::{ALICE, BOB, Town, for_alice};
use crate::world::cluster::{CUT_SHORT, Draft, NOT_UTF8, Verdict, WRONG_TYPE, rule};
use crate::world::{proto, types};

fn with_reason(reason: &str) -> Draft {
    Draft {
        reason: reason.to_owned(),
        ..for_alice()
    }
}

#[tokio::test]
async fn a_request_whose_texts_are_not_utf8_is_shown_and_updated_like_any_other() {
    let mut town = Town::start().await;
    let id = town.cluster.create(Draft {
        user: format!("bob{NOT_UTF8}"),
        suggested_reviewers: vec![format!("x{NOT_UTF8}@example.com")],
        resources: vec![("node".to_owned(), NOT_UTF8.to_owned())],
        approvals: 2,
        ..with_reason(NOT_UTF8)
    });
    town.reads(ALICE, "bob\u{fffd}").await;
    town.settled(&id).await;
    town.cluster
        .review(&id, "carol", Verdict::Approve, &format!("looks{NOT_UTF8}"));
    town.reads(ALICE, "looks\u{fffd}").await;
    town.kill_daemon();
    town.cluster.create(for_alice());
    town.start_daemon().await;
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.cluster.review(&id, "dan", Verdict::Approve, NOT_UTF8);
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    assert_eq!(town.daemon().warnings("decoded"), 0, "nothing was left out");
    assert_eq!(town.cluster.calls()["WatchEvents"], 2, "no stream broke");
    town.expects_warnings(&[
        "Cannot notify recipient",
        "Could not read the names of requested resources",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn a_request_with_a_broken_part_is_announced_without_it_and_named_once() {
    for broken in [WRONG_TYPE, CUT_SHORT] {
        let town = Town::start().await;
        town.cluster.create(with_reason(broken));
        town.cluster.create(for_alice());
        town.sees(ALICE, &["PENDING", "PENDING"]).await;
        for round in 2..4 {
            let lists = town.cluster.calls()["ListAccessRequests"];
            town.cut_streams();
            town.cluster
                .until("everything is listed again", |state| {
                    state.calls["ListAccessRequests"] > lists
                })
                .await;
            assert_eq!(town.cluster.calls()["WatchEvents"], round);
        }
        assert_eq!(town.daemon().warnings("Could not decode parts of an Access Request"), 1);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_request_without_a_readable_id_spoils_neither_the_stream_nor_the_list() {
    for broken in [NOT_UTF8, WRONG_TYPE, CUT_SHORT] {
        let mut town = Town::build().await;
        let named = |id: &str| Draft {
            id: Some(id.to_owned()),
            ..for_alice()
        };
        town.cluster.create(named("a"));
        town.cluster.create(named(broken));
        town.start_daemon().await;
        town.cluster.create(named("\u{FFFF}"));
        town.sees(ALICE, &["PENDING", "PENDING"]).await;
        town.cluster.repeat(broken);
        town.cluster.delete(broken);
        town.cluster.create(named("b"));
        town.sees(ALICE, &["PENDING"; 3]).await;
        assert_eq!(
            town.daemon()
                .warnings("Could not decode an Access Request, skipping it"),
            1
        );
        assert_eq!(
            town.daemon().warnings("Could not decode an event of Teleport"),
            1,
            "the deletion"
        );
        assert_eq!(town.cluster.calls()["WatchEvents"], 1, "no stream broke");
        town.finish().await;
    }
}

#[tokio::test]
async fn plugin_data_of_others_may_be_broken_and_our_own_not_utf8() {
    let mut town = Town::start().await;
    let id = town.cluster.create(with_reason(NOT_UTF8));
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let data = town.cluster.plugin_data(&id);
    town.kill_daemon();
    // The Go plugin copies this text unchanged.
    let copied = BTreeMap::from([("request_reason".to_owned(), NOT_UTF8.to_owned())]);
    town.cluster
        .set_plugin_data(&id, data.into_iter().chain(copied).collect());
    for (plugin, value) in [("slack", NOT_UTF8), ("jira", WRONG_TYPE), ("email", CUT_SHORT)] {
        let others = BTreeMap::from([("request_reason".to_owned(), value.to_owned())]);
        let mut state = town.cluster.state();
        state
            .plugin_data
            .get_mut(&id)
            .unwrap()
            .insert(plugin.to_owned(), others);
    }
    town.start_daemon().await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.settled(&id).await;
    assert_eq!(town.daemon().warnings("decoded"), 0);
    town.finish().await;
}

#[tokio::test]
async fn a_record_that_is_broken_leaves_its_cards_alone_and_others_are_read() {
    let mut town = Town::start().await;
    let broken = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&broken).await;
    let other = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.settled(&other).await;
    let data = town.cluster.plugin_data(&broken);
    town.kill_daemon();
    let spoilt = BTreeMap::from([("messages".to_owned(), WRONG_TYPE.to_owned())]);
    town.cluster.set_plugin_data(&broken, spoilt);
    town.start_daemon().await;
    town.cluster.review(&broken, "alice", Verdict::Approve, "ok");
    town.cluster.review(&other, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["PENDING", "APPROVED"]).await;
    town.settled(&other).await;
    let what = "Could not decode the plugin data of an Access Request, not updating its cards";
    assert_eq!(town.daemon().warnings(what), 1);
    town.daemon()
        .says("could not read plugin data: the records cannot be decoded")
        .await;
    let log = town.daemon().log();
    assert!(!log.contains("Service fails, retrying service=\"Teleport\""), "{log}");
    town.cluster.set_plugin_data(&broken, data);
    town.sees(ALICE, &["APPROVED", "APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_rule_that_is_broken_names_no_recipient_and_other_rules_go_on() {
    let mut town = Town::build().await;
    let condition = "access_request.spec.roles.contains(\"dev\")";
    town.cluster.put_rule(rule("a-broken", CUT_SHORT, &[BOB]));
    town.cluster.put_rule(rule("b-good", condition, &[BOB]));
    town.cluster.put_rule(rule("c-latin", condition, &[NOT_UTF8]));
    town.start_daemon().await;
    town.cluster.create(for_alice());
    town.sees(BOB, &["PENDING"]).await;
    assert_eq!(town.daemon().warnings("Could not decode an Access Monitoring Rule"), 1);
    // Broken by an event, what it named before does not hold any more.
    town.cluster.put_rule(rule("b-good", WRONG_TYPE, &[BOB]));
    town.daemon().says("Access Monitoring Rule removed").await;
    town.cluster.delete_rule("c-latin");
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    assert_eq!(town.daemon().warnings("Could not decode an Access Monitoring Rule"), 2);
    town.expects_warnings(&["Access Monitoring Rule names an invalid recipient rule=\"c-latin\""]);
    town.finish().await;
}

#[tokio::test]
async fn traits_and_labels_that_are_broken_leave_the_others_to_rules() {
    let mut town = Town::build().await;
    let condition = "user.traits[\"team\"].contains(\"core\") && \
                     access_request.spec.resource_labels_union[\"env\"].contains(\"prod\")";
    town.cluster.put_rule(rule("to-bob", condition, &[BOB]));
    let odd: &[&str] = &[NOT_UTF8];
    town.cluster.set_traits(
        "robin@example.com",
        true,
        &[(WRONG_TYPE, odd), ("odd", odd), ("team", &["core"])],
    );
    town.cluster.add_resource(
        "node",
        "n1",
        &[("env", "prod"), ("odd", NOT_UTF8), ("worse", WRONG_TYPE)],
    );
    town.start_daemon().await;
    town.cluster.create(Draft {
        resources: vec![("node".to_owned(), "n1".to_owned())],
        ..for_alice()
    });
    town.sees(BOB, &["PENDING"]).await;
    assert_eq!(town.daemon().warnings("Could not decode parts of a user"), 1);
    assert_eq!(town.daemon().warnings("Could not decode the details of a resource"), 1);
    town.finish().await;
}
#[tokio::test]
async fn the_first_hundred_suggested_reviewers_are_notified_and_the_number_of_the_others_is_logged() {
    let town = Town::start().await;
    let suggested = (0..99).map(|number| format!("x{number}@example.com"));
    let suggested = suggested.chain([BOB, "eve@example.com"].map(str::to_owned));
    let id = town.cluster.create(Draft {
        suggested_reviewers: suggested.collect(),
        ..for_alice()
    });
    town.both_see(&["PENDING"]).await;
    town.settled(&id).await;
    assert_eq!(
        town.daemon()
            .warnings("Access Request has too many suggested reviewers"),
        1
    );
    let log = town.daemon().log();
    assert!(log.contains("left_out=1 limit=100"), "{log}");
    // Listing it again logs nothing new, and the last of them is still no recipient.
    town.cut_streams();
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    assert_eq!(
        town.daemon()
            .warnings("Access Request has too many suggested reviewers"),
        1
    );
    town.sees("eve@example.com", &[]).await;
    town.expects_warnings(&["Cannot notify recipient"]);
    town.finish().await;
}

#[tokio::test]
async fn an_event_that_is_broken_or_of_an_unknown_kind_does_not_end_the_stream() {
    let town = Town::start().await;
    for kind in [NOT_UTF8, WRONG_TYPE, CUT_SHORT] {
        let header = types::ResourceHeader {
            kind: kind.to_owned(),
            metadata: Some(types::Metadata {
                name: "x".to_owned(),
                ..types::Metadata::default()
            }),
            ..types::ResourceHeader::default()
        };
        for operation in [0, 1, 2, 77] {
            let resource = Some(proto::event::Resource::ResourceHeader(header.clone()));
            town.cluster.send_raw(&proto::Event {
                r#type: operation,
                resource,
            });
        }
    }
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    assert_eq!(town.cluster.calls()["WatchEvents"], 1, "no stream broke");
    town.expects_warnings(&["Could not decode an event of Teleport"]);
    town.finish().await;
}
