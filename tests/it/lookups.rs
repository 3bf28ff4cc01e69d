//! Lookups of recipients: their order, their retries, and why the app cannot be installed for a user.

use std::time::Duration;

use tokio::time::timeout;

use crate::process::run;
use crate::support::{ALICE, Town};
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
    // The path of a lookup by email address does not name the user; a lookup by principal name does.
    let about = |call: &&Call| call.path.contains("stranger3");
    assert_eq!(town.tenant.calls().iter().filter(about).count(), 1);
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
    // Four lookups for Carol, interleaved with those of four other requests.
    let between = town.tenant.calls().len() - before;
    assert!(between < 90, "{between} calls before Carol was notified");
    town.sees(ALICE, &["PENDING"; 5]).await;
    town.expects_warnings(&["Access Request has too many suggested reviewers"]);
    town.finish().await;
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
    let file = town.folder.path().join("teleport-msteams.toml");
    std::fs::write(&file, town.config()).unwrap();
    let rule = Rule::every("POST", "/activities", Fault::Error(403, "BotDisabledByAdmin"));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let (_, stdout, _) = run(&["validate", "-c", file.to_str().unwrap(), ALICE]).await;
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
