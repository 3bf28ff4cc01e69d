//! The life of an Access Request, as reviewers see it.

use std::time::Duration;

use crate::support::{ALICE, BOB, Town};
use crate::world::cluster::{ClusterOptions, Draft, State, Verdict};
use crate::world::tenant::TenantOptions;
use crate::world::{proto, types};

#[tokio::test]
async fn a_request_is_announced_to_each_recipient_and_its_approval_is_shown() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "Go ahead");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.reads(BOB, "Go ahead").await;
    town.finish().await;
}

#[tokio::test]
async fn every_review_appears_on_the_cards_while_more_are_required() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "One of two");
    town.reads(ALICE, "One of two").await;
    town.sees(ALICE, &["PENDING"]).await;
    town.cluster.review(&id, "carol", Verdict::Approve, "Two of two");
    town.reads(ALICE, "Two of two").await;
    town.sees(ALICE, &["APPROVED"]).await;
    town.finish().await;
}

#[tokio::test]
async fn a_denial_and_a_promotion_are_shown() {
    let town = Town::start().await;
    let denied = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.cluster.set_state(&denied, State::Denied, "Not now");
    town.sees(ALICE, &["DENIED"]).await;
    town.sees(BOB, &["DENIED"]).await;
    let promoted = town.cluster.create(Draft::default());
    town.sees(ALICE, &["DENIED", "PENDING"]).await;
    town.sees(BOB, &["DENIED", "PENDING"]).await;
    town.cluster.promote(&promoted, "alice", "Database people");
    town.sees(ALICE, &["DENIED", "PROMOTED"]).await;
    town.reads(BOB, "Database people").await;
    town.finish().await;
}

#[tokio::test]
async fn the_end_of_an_unresolved_request_closes_its_cards_and_keeps_its_reviews() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "Fine with me");
    town.reads(BOB, "Fine with me").await;
    town.reads(ALICE, "Fine with me").await;
    town.settled(&id).await;
    town.cluster.delete(&id);
    town.sees(ALICE, &["EXPIRED"]).await;
    town.sees(BOB, &["EXPIRED"]).await;
    town.reads(BOB, "Fine with me").await;
    town.finish().await;
}

#[tokio::test]
async fn the_end_of_granted_access_does_not_change_its_card() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.settled(&id).await;
    town.cluster.delete(&id);
    // The same daemon handles the next request after the deletion, so the deletion has been handled.
    let next = town.cluster.create(Draft::default());
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    town.sees(BOB, &["APPROVED", "PENDING"]).await;
    town.settled(&next).await;
    town.finish().await;
}

#[tokio::test]
async fn a_request_resolved_before_its_announcement_is_not_announced() {
    let town = Town::start().await;
    for state in [State::Approved, State::Denied, State::Promoted, State::None] {
        town.cluster.create(Draft {
            state,
            ..Draft::default()
        });
    }
    let last = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&last).await;
    town.expects_warnings(&["Access Request is in an unknown state"]);
    town.finish().await;
}

#[tokio::test]
async fn repeated_events_post_and_update_nothing() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    for _ in 0..20 {
        town.cluster.repeat(&id);
    }
    town.cluster.review(&id, "alice", Verdict::Deny, "no");
    town.sees(ALICE, &["DENIED"]).await;
    town.sees(BOB, &["DENIED"]).await;
    for _ in 0..20 {
        town.cluster.repeat(&id);
    }
    town.settled(&id).await;
    town.finish().await;
}

#[tokio::test]
async fn the_card_links_to_the_web_ui_or_names_the_commands() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.reads(
        ALICE,
        &format!("https://teleport.sandbox.example.com/web/requests/{id}"),
    )
    .await;
    town.sees(BOB, &["PENDING"]).await;
    town.finish().await;

    let community = ClusterOptions {
        advanced_workflows: false,
        ..ClusterOptions::default()
    };
    let mut town = Town::build_with(community, TenantOptions::default()).await;
    town.start_daemon().await;
    let id = town.cluster.create(Draft::default());
    town.reads(ALICE, &format!("tsh request review --approve {id}")).await;
    town.sees(BOB, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn unknown_fields_and_states_do_no_harm() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    for operation in [0, 1, 2, 77] {
        town.cluster.send_raw(&proto::Event {
            r#type: operation,
            resource: None,
        });
    }
    let rule = types::ResourceHeader {
        kind: "access_monitoring_rule".to_owned(),
        ..types::ResourceHeader::default()
    };
    town.cluster.send_raw(&proto::Event {
        r#type: proto::Operation::Delete.into(),
        resource: Some(proto::event::Resource::ResourceHeader(rule)),
    });
    // A request without a name, one without content, and one in an unknown state.
    town.cluster.send_request(types::AccessRequestV3::default());
    let mut future = town.cluster.request(&id).unwrap();
    future.spec.as_mut().unwrap().state = 99;
    town.cluster.send_request(future.clone());
    future.spec = None;
    town.cluster.send_request(future);
    town.daemon().says("Access Request is in an unknown state").await;
    town.cluster.edit(&id, |spec| {
        spec.reviews.push(types::AccessReview {
            author: "alice".to_owned(),
            proposed_state: 99,
            reason: "from the future".to_owned(),
            ..types::AccessReview::default()
        });
    });
    town.reads(ALICE, "from the future").await;
    town.reads(BOB, "from the future").await;
    town.expects_warnings(&[
        "Could not decode an event of Teleport",
        "Could not decode an Access Request, skipping it",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn odd_requests_are_shown_safely() {
    let town = Town::start().await;
    let reasons = [
        "x".repeat(64 * 1024),
        "line one\nline two\r\n\tline three".to_owned(),
        "[click](https://evil.example) <at>All</at> **now**".to_owned(),
        "\u{202E}drowssap\u{202C}\u{200B}\u{FEFF}".to_owned(),
        String::new(),
    ];
    for (number, reason) in reasons.into_iter().enumerate() {
        town.cluster.create(Draft {
            reason,
            roles: if number == 4 {
                Vec::new()
            } else {
                vec!["dev".to_owned()]
            },
            resources: (0..200).map(|n| ("node".to_owned(), format!("web-{n}"))).collect(),
            access_for: Duration::from_secs(30),
            ..Draft::default()
        });
    }
    // A request without roles has no recipients of its own.
    town.sees(ALICE, &["PENDING"; 4]).await;
    let cards = town.chat(ALICE);
    let texts: Vec<_> = cards
        .iter()
        .map(|card| crate::support::newest(card).to_string())
        .collect();
    let all = texts.concat();
    assert!(
        all.contains("Show 50 of 200 resources") && all.contains("150 more in Teleport"),
        "{all}"
    );
    assert!(all.contains("line one line two line three"), "{all}");
    assert!(!all.contains("https://evil"), "{all}");
    assert!(!all.contains('\u{202E}'), "{all}");
    assert!(texts.iter().all(|text| text.len() < 40_000));
    town.expects_warnings(&[
        "No recipients to notify",
        "Could not read the names of requested resources",
    ]);
    town.finish().await;
}
