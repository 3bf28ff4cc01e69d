//! What reviewers read on cards, and every kind of card against the gallery in `docs/cards`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{ALICE, BOB, Town, newest};
use crate::world::cluster::{Draft, Verdict, rule};
use crate::world::tenant::{Fault, Rule, TenantOptions};
use crate::world::types;

#[path = "../../examples/cards/kinds.rs"]
mod kinds;

#[test]
fn every_kind_of_card_looks_as_in_the_gallery() {
    let gallery = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cards");
    for kind in kinds::kinds() {
        let file = gallery.join(format!("{}.json", kind.name));
        let expected: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap_or_default()).unwrap_or_default();
        let card = serde_json::to_value(&kind.message.card).unwrap();
        assert_eq!(
            card, expected["card"],
            "{}: {} Run `cargo run --example cards` and look.",
            kind.name, kind.title
        );
        assert_eq!(kind.message.summary, expected["summary"], "{}", kind.name);
        assert!(!kind.title.is_empty() && gallery.join(format!("{}.png", kind.name)).exists());
    }
    let files = fs::read_dir(&gallery).unwrap().map(|file| file.unwrap().path());
    let cards = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
    assert_eq!(cards.count(), kinds::kinds().len());
}

const EVE: &str = "eve@example.com";

/// Returns a request for `dev`, which the table routes to Alice.
fn for_alice() -> Draft {
    Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    }
}

fn asking_for(resources: &[(&str, &str)]) -> Draft {
    let resources = resources
        .iter()
        .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()));
    Draft {
        resources: resources.collect(),
        ..for_alice()
    }
}

/// Returns the newest card of a recipient, as JSON.
fn card(town: &Town, who: &str) -> String {
    town.chat(who)
        .last()
        .map(|card| newest(card).to_string())
        .unwrap_or_default()
}

#[tokio::test]
async fn resources_have_names_which_are_looked_up_once() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "8f6e2a54", "db-01");
    town.cluster
        .name_resource("db_server", "orders", "PostgreSQL, production");
    town.cluster.name_resource("app_server", "grafana", "");
    let resources = [
        ("node", "8f6e2a54"),
        ("db", "orders"),
        ("app", "grafana"),
        ("kube_cluster", "k"),
    ];
    town.cluster.create(asking_for(&resources));
    town.reads(ALICE, "\"node db-01\"").await;
    let shown = card(&town, ALICE);
    for part in [
        "database orders – PostgreSQL, production",
        "\"app grafana\"",
        "\"Kubernetes cluster k\"",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("8f6e2a54"), "{shown}");
    assert!(
        town.chat(ALICE)[0].history[0]["summary"]
            .as_str()
            .unwrap()
            .contains("access to 4 resources")
    );
    let calls = town.cluster.calls()["ListResources"];
    assert_eq!(calls, 3, "one call for each kind that has names");
    town.cluster.create(asking_for(&resources));
    town.sees(ALICE, &["PENDING"; 2]).await;
    assert_eq!(town.cluster.calls()["ListResources"], calls);
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_to_see_resources_cards_show_ids_and_one_warning_names_it() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "n1", "db-01");
    town.cluster.faults(|faults| faults.deny_resources = true);
    for so_far in 1..=2 {
        town.cluster
            .create(asking_for(&[("node", "n1"), ("node", &format!("n{so_far}0"))]));
        town.sees(ALICE, &vec!["PENDING"; so_far]).await;
    }
    town.reads(ALICE, "\"node n1\"").await;
    let log = town.daemon().log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(
        matches!(warnings[..], [one] if one.contains("Grant the role list and read on node")),
        "{warnings:?}"
    );
    town.expects_warnings(&["Could not read the names of requested resources; cards show their IDs"]);
    town.finish().await;
}

#[tokio::test]
async fn resources_that_the_role_cannot_see_are_reported_once_too() {
    let town = Town::start().await;
    // Without the permission, Teleport answers with an empty list.
    for so_far in 1..=2 {
        town.cluster.create(asking_for(&[("node", &format!("n{so_far}"))]));
        town.sees(ALICE, &vec!["PENDING"; so_far]).await;
    }
    let log = town.daemon().log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    let parts = [
        "no requested node exists, or is visible to the role",
        "Grant the role list and read on node",
    ];
    assert!(
        matches!(warnings[..], [one] if parts.iter().all(|part| one.contains(part))),
        "{warnings:?}"
    );
    town.expects_warnings(&["Could not read the names of requested resources; cards show their IDs"]);
    town.finish().await;
}

#[tokio::test]
async fn a_slow_lookup_of_names_does_not_delay_a_card() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "n1", "db-01");
    let gate = town
        .cluster
        .hold("ListResources", crate::world::cluster::Moment::Before, 0);
    town.cluster.create(asking_for(&[("node", "n1")]));
    town.sees(ALICE, &["PENDING"]).await;
    town.reads(ALICE, "\"node n1\"").await;
    drop(gate);
    town.finish().await;
}

#[tokio::test]
async fn resources_of_leaf_clusters_keep_their_ids_and_name_the_cluster() {
    let town = Town::start().await;
    town.cluster.name_resource("node", "n1", "db-01");
    let mut request = town.cluster.create_quietly(asking_for(&[("node", "n1")]));
    let spec = request.spec.as_mut().unwrap();
    spec.requested_resource_ids[0].cluster_name = "leaf.example.com".to_owned();
    town.cluster.put_request(request);
    town.sees(ALICE, &["PENDING"]).await;
    town.reads(ALICE, "\"node n1 on leaf.example.com\"").await;
    assert!(!town.cluster.calls().contains_key("ListResources"));
    town.finish().await;
}

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
async fn a_card_says_why_its_reader_is_notified_and_who_else_is() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    town.cluster.put_rule(rule(
        "databases",
        "access_request.spec.roles.contains(\"db\")",
        &[EVE, &channel],
    ));
    town.start_daemon().await;
    town.cluster.create(Draft {
        suggested_reviewers: vec!["carol@example.com".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.reads(
        ALICE,
        "You are a recipient for role dba. Also notified: bob@example.com, carol@example.com.",
    )
    .await;
    town.reads(
        BOB,
        "You are a recipient for role dba. Also notified: alice@example.com, carol@example.com.",
    )
    .await;
    town.reads("carol@example.com", "You are a suggested reviewer.").await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"; 2]).await;
    town.reads(ALICE, "You are a default recipient.").await;
    let id = town.cluster.create(Draft {
        roles: vec!["db".to_owned()],
        ..Draft::default()
    });
    town.reads(
        EVE,
        "You are a recipient of the Access Monitoring Rule databases. Also notified: \u{200B}#Approvals.",
    )
    .await;
    town.reads(
        &channel,
        "This channel is a recipient of the Access Monitoring Rule databases.",
    )
    .await;
    assert!(card(&town, &channel).contains("robin@example.com cannot review this request."));
    town.settled(&id).await;
    // The name of the rule is in the record: another process shows it after the rule is gone.
    town.kill_daemon();
    town.cluster.delete_rule("databases");
    town.start_daemon().await;
    town.cluster.edit(&id, |spec| spec.roles.push("db2".to_owned()));
    town.reads(EVE, "requests db and db2").await;
    town.reads(EVE, "of the Access Monitoring Rule databases").await;
    town.reads(&channel, "requests db and db2").await;
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
async fn an_announcement_alerts_and_mentions_people_in_channels_and_an_update_does_not() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    town.cluster.put_rule(rule("all", "true", &[EVE, &channel]));
    town.start_daemon().await;
    let id = town.cluster.create(Draft {
        approvals: 2,
        suggested_reviewers: vec!["carol@example.com".to_owned(), "robin@example.com".to_owned()],
        ..for_alice()
    });
    town.sees(&channel, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    let first = |who: &str| town.chat(who)[0].history[0].clone();
    let (posted, chat) = (first(&channel), first(EVE));
    for activity in [&posted, &chat] {
        assert_eq!(activity["channelData"]["notification"]["alert"], true);
    }
    let content = &posted["attachments"][0]["content"];
    let entities = content["msteams"]["entities"].as_array().unwrap();
    let mentioned: Vec<_> = entities.iter().map(|entity| &entity["mentioned"]).collect();
    let person = |name: &str| serde_json::json!({"id": town.people[name].id, "name": name});
    assert_eq!(mentioned, [&person("Eve"), &person("Carol")]);
    assert!(
        content["body"]
            .to_string()
            .contains("Reviewers: <at>Eve</at>, <at>Carol</at>")
    );
    assert!(chat["attachments"][0]["content"]["msteams"].is_null());
    town.cluster.review(&id, "alice", Verdict::Approve, "first");
    town.reads(&channel, "first").await;
    town.reads(EVE, "first").await;
    let updated = town.chat(&channel)[0].history[1].clone();
    assert!(
        updated["channelData"].is_null() && !updated.to_string().contains("<at>"),
        "{updated}"
    );
    town.finish().await;
}

#[tokio::test]
async fn a_card_whose_mentions_microsoft_rejects_is_posted_without_them() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    let config = town.config_for(&format!("\"*\" = [\"{channel}\"]"));
    town.start_daemon_with(&config).await;
    let thread = Rule::some(1, "POST", "thread.tacv2", Fault::Error(400, "BadArgument"));
    town.tenant.faults(|faults| faults.rules = vec![thread]);
    town.cluster.create(Draft {
        suggested_reviewers: vec!["carol@example.com".to_owned()],
        ..for_alice()
    });
    town.sees(&channel, &["PENDING"]).await;
    town.sees("carol@example.com", &["PENDING"]).await;
    assert!(!card(&town, &channel).contains("<at>"));
    town.finish().await;
}

#[tokio::test]
async fn alerts_and_mentions_can_be_turned_off() {
    let mut town = Town::build().await;
    let channel = town.channel.clone();
    let config = town.config_for(&format!("\"*\" = [\"{channel}\"]"));
    town.start_daemon_with(&format!("{config}\n[notify]\nalert = false\nmention = false\n"))
        .await;
    town.cluster.create(Draft {
        suggested_reviewers: vec!["carol@example.com".to_owned()],
        ..for_alice()
    });
    town.sees(&channel, &["PENDING"]).await;
    town.sees("carol@example.com", &["PENDING"]).await;
    let quiet = |activity: &Value| {
        activity["channelData"].is_null() && activity["attachments"][0]["content"]["msteams"].is_null()
    };
    for who in [channel.as_str(), "carol@example.com"] {
        assert!(quiet(&town.chat(who)[0].history[0]));
    }
    town.finish().await;
}

#[tokio::test]
async fn the_requester_is_not_asked_under_any_name() {
    let options = TenantOptions {
        roles: [&TenantOptions::default().roles[..], &["User.Read.All"]].concat(),
        ..TenantOptions::default()
    };
    let mut town = Town::build_with(crate::world::cluster::ClusterOptions::default(), options).await;
    let robin = town
        .tenant
        .add_user("Robin", Some("robin.mail@example.com"), "robin.upn@example.com");
    town.tenant.add_alias(&robin, "robin@example.com");
    for (number, name) in [
        "robin@example.com",
        "ROBIN.mail@example.com",
        "robin.upn@example.com",
        &robin.id,
    ]
    .into_iter()
    .enumerate()
    {
        let config = town.config_for(&format!("\"*\" = [\"{name}\", \"{ALICE}\"]"));
        town.start_daemon_with(&config).await;
        let id = town.cluster.create(for_alice());
        town.sees(ALICE, &vec!["PENDING"; number + 1]).await;
        town.settled(&id).await;
        assert!(town.chat("robin.upn@example.com").is_empty(), "{name}");
        town.kill_daemon();
    }
    // A request without another recipient is reported.
    let config = town.config_for("\"*\" = [\"robin.upn@example.com\"]");
    town.start_daemon_with(&config).await;
    town.cluster.create(for_alice());
    town.daemon().says("No recipients to notify").await;
    town.finish().await;
}

#[tokio::test]
async fn a_requester_whose_look_up_is_not_answered_delays_no_card_for_long() {
    let town = Town::start().await;
    let gate = town.tenant.hold("GET", "/v1.0/users/robin");
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    drop(gate);
    town.finish().await;
}

#[tokio::test]
async fn a_requester_with_a_teleport_user_name_is_found_by_trait() {
    let mut town = Town::build().await;
    town.cluster.set_traits("robin", true, &[("email", &[EVE])]);
    let config = town.config_for(&format!("\"*\" = [\"{EVE}\", \"{ALICE}\"]"));
    town.start_daemon_with(&config).await;
    let id = town.cluster.create(Draft {
        user: "robin".to_owned(),
        // As the owner of an Access List, for example.
        suggested_reviewers: vec!["robin".to_owned()],
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(town.chat(EVE).is_empty());
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

#[tokio::test]
async fn many_requests_of_one_requester_look_the_person_up_once() {
    let town = Town::start().await;
    for _ in 0..20 {
        town.cluster.create(for_alice());
    }
    town.sees(ALICE, &["PENDING"; 20]).await;
    let calls = town.tenant.calls();
    // By user principal name; a look-up by email address has the address in its query.
    let look_ups = calls.iter().filter(|call| call.path.contains("robin"));
    assert_eq!(look_ups.count(), 1);
    town.finish().await;
}

#[tokio::test]
async fn suggested_reviewers_that_are_user_names_are_found_by_trait_or_email_address() {
    let town = Town::start().await;
    let eve = town.people["Eve"].id.clone();
    town.cluster
        .set_traits("eve", true, &[("teams_user_id", &[eve.as_str()])]);
    town.cluster.set_traits("bobby", false, &[("email", &[BOB])]);
    town.cluster.set_traits("svc", true, &[("team", &["core"])]);
    let suggested = ["eve", "bobby", "svc", "unknown"].map(str::to_owned).to_vec();
    town.cluster.create(Draft {
        suggested_reviewers: suggested.clone(),
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.sees(EVE, &["PENDING"]).await;
    town.reads(EVE, "You are a suggested reviewer.").await;
    town.finish().await;
}

#[tokio::test]
async fn without_the_permission_to_read_users_one_line_says_that_user_names_are_not_notified() {
    let town = Town::start().await;
    town.cluster.faults(|faults| faults.deny_traits = true);
    for so_far in 1..=2 {
        town.cluster.create(Draft {
            suggested_reviewers: vec![format!("eve{so_far}")],
            ..for_alice()
        });
        town.sees(ALICE, &vec!["PENDING"; so_far]).await;
    }
    let log = town.daemon().log();
    let line = "Could not read users; suggested reviewers that are Teleport user names are not notified";
    assert_eq!(log.matches(line).count(), 1, "{log}");
    town.finish().await;
}
