//! Lookups of recipients: their order, their retries, and why the app cannot be installed for a user.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::support::{ALICE, Town, for_alice};
use crate::world::cluster::{ClusterOptions, Draft};
use crate::world::tenant::{Call, Fault, Rule, TenantOptions};

const CAROL: &str = "carol@example.com";

fn suggesting(reviewers: Vec<String>) -> Draft {
    Draft {
        roles: vec!["dev".to_owned()],
        suggested_reviewers: reviewers,
        ..Draft::default()
    }
}

/// Waits until this many calls met the fault.
async fn meets(town: &Town, fault: &Fault, times: usize) {
    let mut changes = town.tenant.changes();
    let waiting = async {
        while town.tenant.met(fault) < times {
            changes.changed().await.unwrap();
        }
    };
    let waited = timeout(Duration::from_secs(20), waiting).await;
    assert!(
        waited.is_ok(),
        "{} of {times} calls met {fault:?}",
        town.tenant.met(fault)
    );
}

/// Refuses one call about Carol word by word, and expects these words in the log.
async fn explains(method: &'static str, status: u16, body: &'static str, parts: &[&str]) {
    let town = Town::start().await;
    let fault = Fault::Page(status, "application/json", body);
    let path = format!("{}/teamwork/installedApps", town.people["Carol"].id);
    let rule = Rule::every(method, &path, fault.clone());
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    town.cluster.create(suggesting(vec![CAROL.to_owned()]));
    town.sees(ALICE, &["PENDING"]).await;
    for part in parts {
        town.daemon().says(part).await;
    }
    let log = town.daemon().log();
    assert!(!log.contains("Grant the application permission"), "{log}");
    assert!(town.tenant.met(&fault) > 0);
    town.finish().await;
}

#[tokio::test]
async fn an_app_permission_policy_is_not_reported_as_a_missing_permission() {
    let body = r#"{"error":{"code":"Forbidden","message":"The app x is blocked by app permission policy for user y.",
        "innerError":{"code":"AccessDenied","message":"The app x is blocked by app permission policy for user y."}}}"#;
    let parts = [
        "an app permission policy blocks the app for this user",
        "Permission policies",
    ];
    explains("POST", 403, body, &parts).await;
}

#[tokio::test]
async fn a_missing_licence_is_not_reported_as_a_missing_permission() {
    let body = r#"{"error":{"code":"Forbidden","message":"No license information could be had for the user."}}"#;
    let parts = [
        "this user has no license for Microsoft Teams",
        "Assign the user a license",
    ];
    explains("GET", 403, body, &parts).await;
}

#[tokio::test]
async fn a_teams_app_without_our_registration_is_not_reported_as_a_missing_permission() {
    let body = r#"{"error":{"code":"Forbidden","message":"AAD App Id x is not allowed to manage the Teams App y."}}"#;
    let parts = ["may not manage this Teams app", "webApplicationInfo.id"];
    explains("POST", 403, body, &parts).await;
}

#[tokio::test]
async fn a_user_without_a_teams_account_is_reported_with_a_hint() {
    let body = r#"{"error":{"code":"NotFound","message":"Not Found"}}"#;
    let parts = [
        "Microsoft finds no account in Teams for this user",
        "signed in to Teams",
    ];
    explains("POST", 404, body, &parts).await;
}

#[tokio::test]
async fn an_app_that_was_uploaded_again_is_found_under_its_new_id() {
    let town = Town::start().await;
    town.tenant.replace_app();
    let id = town.cluster.create(suggesting(vec![CAROL.to_owned()]));
    town.sees(CAROL, &["PENDING"]).await;
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    assert!(!town.cluster.plugin_data(&id).contains_key("x_skipped"));
    town.finish().await;
}

#[tokio::test]
async fn unknown_reviewers_are_looked_up_once_for_many_requests() {
    let town = Town::start().await;
    let strangers: Vec<_> = (0..10).map(|number| format!("stranger{number}@example.com")).collect();
    for number in 1..6 {
        let id = town.cluster.create(suggesting(strangers.clone()));
        town.sees(ALICE, &vec!["PENDING"; number]).await;
        town.settled(&id).await;
    }
    // The strangers, Alice, and the requester.
    let look_up = |call: &&Call| call.path.ends_with("/v1.0/users");
    assert_eq!(town.tenant.calls().iter().filter(look_up).count(), 12);
    town.expects_warnings(&["Cannot notify recipient"]);
    town.finish().await;
}

#[tokio::test]
async fn many_unknown_reviewers_do_not_delay_the_lookups_of_another_request() {
    let town = Town::start().await;
    for request in 0..4 {
        let strangers = (0..150).map(|number| format!("stranger{request}x{number}@example.com"));
        town.cluster.create(suggesting(strangers.collect()));
    }
    town.sees(ALICE, &["PENDING"; 4]).await;
    let before = town.tenant.calls().len();
    town.cluster.create(suggesting(vec![CAROL.to_owned()]));
    town.sees(CAROL, &["PENDING"]).await;
    // The lookup of Carol, interleaved with those of four other requests.
    let between = town.tenant.calls().len() - before;
    assert!(between < 90, "{between} calls before Carol was notified");
    town.sees(ALICE, &["PENDING"; 5]).await;
    town.expects_warnings(&["Access Request has too many suggested reviewers"]);
    town.allows_warnings(&["Cannot notify recipient"]);
    town.finish().await;
}

/// Starts a daemon whose requests for `many` go to new people, and returns their object ids.
async fn with_many(count: usize) -> (Town, Vec<String>) {
    let mut town = Town::build().await;
    let ids: Vec<_> = (0..count)
        .map(|number| {
            town.tenant
                .add_user(&format!("Person {number}"), None, &format!("p{number}@example.com"))
                .id
        })
        .collect();
    let config = town.config_for(&format!("\"*\" = \"{ALICE}\"\nmany = {ids:?}"));
    town.start_daemon_with(&config).await;
    // Look-ups follow each other faster than they are answered.
    town.tenant.faults(|faults| faults.latency = Duration::from_millis(50));
    (town, ids)
}

/// Announces a request to all of them, and waits until each has a card.
async fn all_see(town: &Town, ids: &[String]) -> String {
    let id = town.cluster.create(Draft {
        roles: vec!["many".to_owned()],
        ..Draft::default()
    });
    for person in ids {
        town.sees(person, &["PENDING"]).await;
    }
    town.settled(&id).await;
    id
}

fn calls_to(town: &Town, path: &str) -> usize {
    let calls = town.tenant.calls();
    calls.iter().filter(|call| call.path.ends_with(path)).count()
}

#[tokio::test]
async fn a_new_person_who_has_the_app_costs_one_look_up_and_one_chat() {
    let town = Town::start().await;
    let before = town.tenant.calls().len();
    let id = town.cluster.create(Draft {
        // Not an email address, so that the directory is asked for recipients only.
        user: "robin".to_owned(),
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    let calls = town.tenant.calls().split_off(before);
    let calls = calls.iter().filter(|call| !call.path.ends_with("/token"));
    let calls: Vec<_> = calls
        .map(|call| (call.method.as_str(), call.path.rsplit('/').next().unwrap()))
        .collect();
    assert_eq!(
        calls,
        [("GET", "users"), ("POST", "conversations"), ("POST", "activities")]
    );
    town.finish().await;
}

#[tokio::test]
async fn many_new_people_are_looked_up_together_and_a_throttled_look_up_is_repeated_alone() {
    let (town, ids) = with_many(30).await;
    let throttled = format!("/users/{}", ids[20]);
    let rule = Rule::some(1, "GET", &throttled, Fault::Status(429, Some(1)));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    all_see(&town, &ids).await;
    assert!(calls_to(&town, "$batch") > 0, "{:#?}", town.tenant.calls());
    for id in &ids {
        let path = format!("/users/{id}");
        assert_eq!(calls_to(&town, &path), 1 + usize::from(path == throttled), "{path}");
    }
    town.expects_warnings(&["Service throttles requests service=\"Microsoft Graph\""]);
    town.finish().await;
}

#[tokio::test]
async fn a_look_up_without_an_answer_delays_no_other_in_its_batch() {
    let (mut town, ids) = with_many(30).await;
    let unresponsive = format!("/users/{}", ids[20]);
    let rule = Rule::every("GET", &unresponsive, Fault::Hang);
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    town.cluster.create(Draft {
        roles: vec!["many".to_owned()],
        ..Draft::default()
    });
    for (number, id) in ids.iter().enumerate() {
        if number != 20 {
            town.sees(id, &["PENDING"]).await;
        }
    }
    assert!(town.tenant.met(&Fault::Hang) > 0);
    town.kill_daemon();
}

#[tokio::test]
async fn look_ups_go_alone_if_a_batch_fails_and_wait_if_it_is_throttled() {
    let page = Fault::Page(403, "text/html", "<html>Blocked</html>");
    for fault in [
        page,
        Fault::Error(400, "BadRequest"),
        Fault::Html,
        Fault::Status(429, Some(1)),
        Fault::Status(503, Some(1)),
    ] {
        let (town, ids) = with_many(12).await;
        let rule = Rule::some(1, "POST", "$batch", fault.clone());
        town.tenant.faults(|faults| faults.rules = vec![rule]);
        let begun = Instant::now();
        all_see(&town, &ids).await;
        assert_eq!(town.tenant.met(&fault), 1, "{fault:?}");
        if let Fault::Status(_, Some(seconds)) = fault {
            assert!(begun.elapsed() >= Duration::from_secs(seconds), "{fault:?}");
        }
        town.allows_warnings(&[
            "Service throttles requests service=\"Microsoft Graph\"",
            "Service fails, retrying service=\"Microsoft Graph\"",
        ]);
        town.finish().await;
    }
}

#[tokio::test]
async fn a_request_after_the_start_does_not_wait_for_recipients_that_are_looked_up_in_advance() {
    let mut town = Town::build().await;
    let people: Vec<_> = (0..45)
        .map(|number| {
            let mail = format!("person{number}@example.com");
            town.tenant.add_user(&mail, Some(&mail), &mail);
            mail
        })
        .collect();
    let config = town.config_for(&format!("\"*\" = \"{ALICE}\"\nmany = {people:?}"));
    let mut settings = town.settings(&config);
    settings.preload = true;
    town.start_daemon_on(settings).await;
    town.cluster.create(suggesting(vec![CAROL.to_owned()]));
    town.sees(CAROL, &["PENDING"]).await;
    let calls = town.tenant.calls();
    let looked_up = calls.iter().filter(|call| call.path.contains("installedApps")).count();
    assert!(looked_up < 60, "{looked_up} calls came before");
    town.sees(ALICE, &["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn unresponsive_recipients_leave_the_connector_to_others() {
    let mut town = Town::build().await;
    let mut crowd = Vec::new();
    for number in 0..70 {
        let mail = format!("person{number}@example.com");
        crowd.push((town.tenant.add_user(&mail, Some(&mail), &mail).id, mail));
    }
    let mails: Vec<_> = crowd.iter().map(|(_, mail)| mail).collect();
    let config = town.config_for(&format!("\"*\" = \"{ALICE}\"\nmany = {mails:?}"));
    let mut settings = town.settings(&config);
    settings.limits.microsoft_timeout = Duration::from_mins(10);
    town.start_daemon_on(settings).await;
    let ids: Vec<_> = crowd.iter().map(|(id, _)| format!("{id}_")).collect();
    let rules = Rule::crowd("POST", &ids, &Fault::Hang);
    town.tenant.faults(|faults| faults.rules = rules);
    for _ in 0..4 {
        town.cluster.create(Draft {
            roles: vec!["many".to_owned()],
            ..Draft::default()
        });
    }
    meets(&town, &Fault::Hang, 64).await;
    let id = town.cluster.create(suggesting(Vec::new()));
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.kill_daemon();
    town.finish().await;
}

#[tokio::test]
async fn validate_names_the_recipient_whose_card_is_refused() {
    let town = Town::build().await;
    let rule = Rule::every("POST", "/activities", Fault::Error(403, "BotDisabledByAdmin"));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let (_, stdout, _) = town.run(&town.config(), &["validate", ALICE]).await;
    let expected = "could not post the card for a…@example.com: access is denied (403, BotDisabledByAdmin)";
    assert!(stdout.contains(expected), "{stdout}");
}

#[tokio::test]
async fn a_missing_permission_is_named_and_one_that_is_granted_is_not_asked_for() {
    let mut options = TenantOptions::default();
    options.roles.retain(|role| !role.contains("ForUser"));
    let mut town = Town::build_with(ClusterOptions::default(), options).await;
    town.start_daemon().await;
    town.cluster.create(suggesting(vec![CAROL.to_owned()]));
    let grant = "application permission TeamsAppInstallation.ReadWriteSelfForUser.All and give admin consent";
    town.daemon().says(grant).await;
    // The connector needs no permission of Graph.
    town.sees(ALICE, &["PENDING"]).await;
    town.finish().await;

    let town = Town::start().await;
    let path = format!("{}/teamwork", town.people["Carol"].id);
    let rule = Rule::every("POST", &path, Fault::Error(403, "Forbidden"));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    town.cluster.create(suggesting(vec![CAROL.to_owned()]));
    town.daemon()
        .says("policy of the user in the Teams admin center; TeamsAppInstallation.ReadWriteSelfForUser.All is granted")
        .await;
    town.sees(ALICE, &["PENDING"]).await;
    town.finish().await;
}
