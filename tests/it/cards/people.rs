//! Who is notified, who is not, and who is mentioned.

use serde_json::Value;

use crate::cards::card;
use crate::support::{ALICE, BOB, Town, for_alice};
use crate::world::cluster::{Draft, Verdict, rule};
use crate::world::tenant::{Fault, Rule, TenantOptions};

const EVE: &str = "eve@example.com";

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
async fn many_requests_of_one_requester_look_the_person_up_once() {
    let town = Town::start().await;
    for _ in 0..20 {
        town.cluster.create(for_alice());
    }
    town.sees(ALICE, &["PENDING"; 20]).await;
    let calls = town.tenant.calls();
    // One for the requester, and one for the recipient.
    let look_ups = calls.iter().filter(|call| call.path.ends_with("/v1.0/users"));
    assert_eq!(look_ups.count(), 2);
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
