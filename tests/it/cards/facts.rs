//! What a card shows of a request, and which changes update it.

use crate::cards::{asking_for, card};
use crate::support::{ALICE, Town, for_alice};
use crate::world::cluster::{Draft, Verdict};
use crate::world::types;

/// Returns a request for one resource with constraints.
fn limited(town: &Town, constraints: types::ResourceConstraints) -> types::AccessRequestV3 {
    town.cluster.name_resource("app_server", "console", "");
    let mut request = town.cluster.create_quietly(asking_for(&[("app", "console")]));
    let spec = request.spec.as_mut().unwrap();
    let id = spec.requested_resource_ids.pop();
    let constraints = Some(constraints);
    spec.requested_resource_access_ids = vec![types::ResourceAccessId { id, constraints }];
    request
}

#[tokio::test]
async fn constraints_are_shown_with_their_resource_even_if_they_are_unknown() {
    let town = Town::start().await;
    let of = |version: &str| types::ResourceConstraints {
        version: version.to_owned(),
        ..types::ResourceConstraints::default()
    };
    let logins = |names: &[&str]| {
        Some(types::LoginConstraints {
            logins: names.iter().map(|name| (*name).to_owned()).collect(),
        })
    };
    let roles = types::AwsConsoleConstraints {
        role_arns: vec!["arn:aws:iam::123456789012:role/ReadOnly".to_owned()],
    };
    let cases = [
        (
            types::ResourceConstraints {
                ssh: logins(&["root", "ops"]),
                ..of("v1")
            },
            "app console (logins root, ops)",
        ),
        (
            types::ResourceConstraints {
                windows_desktop: logins(&["Administrator"]),
                ..of("v1")
            },
            "app console (login Administrator)",
        ),
        (
            types::ResourceConstraints {
                aws_console: Some(roles),
                ..of("v1")
            },
            "app console (role arn:aws:iam::123456789012:role/ReadOnly)",
        ),
        // The details are those of a later version.
        (of("v2"), "app console (other restrictions)"),
    ];
    for (number, (constraints, expected)) in cases.into_iter().enumerate() {
        town.cluster.put_request(limited(&town, constraints));
        town.sees(ALICE, &vec!["PENDING"; number + 1]).await;
        town.reads(ALICE, expected).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn missing_approvals_count_down_by_threshold() {
    let town = Town::start().await;
    let mut request = town.cluster.create_quietly(Draft {
        id: None,
        approvals: 2,
        ..for_alice()
    });
    let id = request.metadata.as_ref().unwrap().name.clone();
    let spec = request.spec.as_mut().unwrap();
    spec.thresholds[0].name = "security team".to_owned();
    spec.thresholds[0].deny = 2;
    town.cluster.put_request(request);
    town.sees(ALICE, &["PENDING"]).await;
    town.reads(ALICE, "0 of 2 (security team)").await;
    let review = |author: &str, state: types::RequestState| types::AccessReview {
        author: author.to_owned(),
        proposed_state: state.into(),
        threshold_indexes: vec![0],
        ..types::AccessReview::default()
    };
    let slack = types::AccessReview {
        submitted_by: "access-plugin-slack".to_owned(),
        ..review("carol@example.com", types::RequestState::Approved)
    };
    town.cluster.edit(&id, |spec| spec.reviews.push(slack));
    town.reads(ALICE, "1 of 2 (security team)").await;
    let shown = card(&town, ALICE);
    assert!(
        shown.contains("✅ Approved by carol@example.com, via the Slack plugin"),
        "{shown}"
    );
    assert!(
        shown.contains("{\"title\":\"Denials\",\"value\":\"0 of 2 (security team)\"}"),
        "{shown}"
    );
    let denial = review("dan@example.com", types::RequestState::Denied);
    town.cluster.edit(&id, |spec| spec.reviews.push(denial));
    town.reads(ALICE, "❌ Denied by dan@example.com").await;
    assert!(card(&town, ALICE).contains("\"value\":\"1 of 2 (security team)\"}"));
    town.finish().await;
}

#[tokio::test]
async fn a_long_term_request_names_the_recommended_list_and_an_unknown_kind_is_other() {
    let town = Town::start().await;
    town.cluster.add_access_list("0d7f", "On-call engineers");
    let mut request = town.cluster.create_quietly(for_alice());
    let spec = request.spec.as_mut().unwrap();
    spec.request_kind = types::AccessRequestKind::LongTerm.into();
    spec.long_term_grouping = Some(types::LongTermResourceGrouping {
        recommended_access_list: "0d7f".to_owned(),
    });
    town.cluster.put_request(request.clone());
    town.sees(ALICE, &["PENDING"]).await;
    town.reads(ALICE, "robin@example.com requests membership in On-call engineers")
        .await;
    // A list that does not exist is shown by its ID.
    let spec = request.spec.as_mut().unwrap();
    spec.long_term_grouping.as_mut().unwrap().recommended_access_list = "gone".to_owned();
    request.metadata.as_mut().unwrap().name = "01a20c25-22d8-712e-bc2e-b9c563fbcc15".to_owned();
    town.cluster.put_request(request.clone());
    town.sees(ALICE, &["PENDING"; 2]).await;
    town.reads(ALICE, "membership in gone").await;
    request.spec.as_mut().unwrap().request_kind = 7;
    request.metadata.as_mut().unwrap().name = "01a20c25-22d8-712e-bc2e-b9c563fbcc16".to_owned();
    town.cluster.put_request(request);
    town.sees(ALICE, &["PENDING"; 3]).await;
    town.reads(ALICE, "{\"title\":\"Access\",\"value\":\"other, 8 hours, until ")
        .await;
    town.finish().await;
}

#[tokio::test]
async fn a_change_of_any_shown_fact_updates_the_cards_and_a_repeated_event_does_not() {
    let town = Town::start().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.edit(&id, |spec| spec.roles.push("ops".to_owned()));
    town.reads(ALICE, "robin@example.com requests dev and ops").await;
    town.cluster.edit(&id, |spec| spec.assume_start_time = spec.expires);
    town.reads(ALICE, "\"Starts\"").await;
    town.settled(&id).await;
    let versions = || town.chat(ALICE)[0].history.len();
    let before = versions();
    // A suggested reviewer who cannot be found is on no card.
    town.cluster
        .edit(&id, |spec| spec.suggested_reviewers.push("unknown".to_owned()));
    town.cluster.repeat(&id);
    town.cluster.review(&id, "alice", Verdict::Approve, "fine");
    town.sees(ALICE, &["APPROVED"]).await;
    assert_eq!(versions(), before + 1);
    town.finish().await;
}

#[tokio::test]
async fn cards_of_an_earlier_version_are_not_updated_by_an_upgrade() {
    let mut town = Town::start().await;
    let id = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    let mut data = town.cluster.plugin_data(&id);
    let cards = data["x_cards"].clone();
    let facts = cards.find(",\"f\":\"").unwrap();
    let end = facts + 6 + cards[facts + 6..].find('"').unwrap() + 1;
    data.insert("x_cards".to_owned(), format!("{}{}", &cards[..facts], &cards[end..]));
    town.cluster.set_plugin_data(&id, data);
    town.cluster.edit(&id, |spec| spec.roles.push("ops".to_owned()));
    town.start_daemon().await;
    town.cluster.repeat(&id);
    let other = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"; 2]).await;
    town.settled(&other).await;
    assert_eq!(town.chat(ALICE)[0].history.len(), 1);
    town.cluster.review(&id, "alice", Verdict::Approve, "fine");
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    // The approval is the only update.
    assert_eq!(town.chat(ALICE)[0].history.len(), 2);
    town.finish().await;
}

#[tokio::test]
async fn a_recipient_that_microsoft_rejects_is_not_listed_as_notified() {
    let town = Town::start().await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        suggested_reviewers: vec!["unknown@example.com".to_owned()],
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "carol", Verdict::Approve, "first");
    town.reads(ALICE, "first").await;
    assert!(!card(&town, ALICE).contains("unknown@example.com"));
    town.expects_warnings(&["Cannot notify recipient"]);
    town.finish().await;
}

#[tokio::test]
async fn the_order_in_which_teleport_sends_a_map_updates_no_card() {
    let town = Town::start().await;
    let mut request = town.cluster.create_quietly(for_alice());
    let id = request.metadata.as_ref().unwrap().name.clone();
    let spec = request.spec.as_mut().unwrap();
    spec.thresholds.push(spec.thresholds[0].clone());
    let sets = |indexes: &[&[u32]]| types::ThresholdIndexSets {
        sets: indexes
            .iter()
            .map(|set| types::ThresholdIndexSet { indexes: set.to_vec() })
            .collect(),
    };
    spec.role_threshold_mapping = [("dev".to_owned(), sets(&[&[0], &[1, 0]]))].into();
    town.cluster.put_request(request);
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.edit(&id, |spec| {
        spec.role_threshold_mapping = [("dev".to_owned(), sets(&[&[0, 1, 1], &[0]]))].into();
    });
    let other = town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"; 2]).await;
    town.settled(&other).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "fine");
    town.sees(ALICE, &["APPROVED", "PENDING"]).await;
    assert_eq!(town.chat(ALICE)[0].history.len(), 2);
    town.finish().await;
}
