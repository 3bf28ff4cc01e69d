//! A list of client secrets during a rotation.

use std::fs;

use crate::credentials::{announces, config_with, validate};
use crate::support::{ALICE, Town, fails};

const OLD: &str = "old~plantedsecret";
const NEXT: &str = "next~plantedsecret";

#[tokio::test]
async fn the_next_secret_is_used_when_microsoft_rejects_the_first() {
    let mut town = Town::build().await;
    town.tenant.set_secret(OLD);
    let config = config_with(&town, &format!("app_secret = [\"{OLD}\", \"{NEXT}\"]"));
    town.start_daemon_with(&config).await;
    let accepts = "Microsoft accepts a client secret of the list";
    town.daemon().says(&format!("{accepts} position=1 secrets=2")).await;
    let mut words = Vec::new();
    announces(&town, &mut words).await;

    town.tenant.set_secret(NEXT);
    town.tenant.revoke_tokens();
    announces(&town, &mut words).await;
    town.daemon().says(&format!("{accepts} position=2 secrets=2")).await;
    // The accepted one is tried first from then on.
    let rejected = |town: &Town| town.tenant.calls().iter().filter(|call| call.status == 401).count();
    let before = rejected(&town);
    town.tenant.revoke_tokens();
    announces(&town, &mut words).await;
    let more = rejected(&town) - before;
    let tokens = town.tenant.calls().into_iter();
    let tokens = tokens.filter(|call| call.path.ends_with("/token") && call.status == 401);
    assert!(more <= 2, "only the revoked tokens are rejected: {more}");
    assert!(tokens.count() <= 2, "each service tries the old secret at most once");

    let (status, shown) = validate(&town, &config, &[]).await;
    assert_eq!(status, Some(0), "{shown}");
    for part in [
        "ok  credential of the app: 2 client secrets",
        "warning  credential of the app: Microsoft accepts secret 2 of 2, from the configuration",
        "hint: Remove the secrets before it",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    town.finish().await;
}

#[tokio::test]
async fn a_file_in_a_list_is_followed() {
    let mut town = Town::build().await;
    let path = |name: &str| town.folder.path().join(name).display().to_string();
    let (first, second) = (path("first"), path("second"));
    fs::write(&first, town.tenant.options().app_secret.clone()).unwrap();
    fs::write(&second, "unused~plantedsecret").unwrap();
    let config = config_with(&town, &format!("app_secret = [{first:?}, {second:?}]"));
    town.start_daemon_with(&config).await;
    fs::write(&second, NEXT).unwrap();
    town.daemon().says("Client secret replaced, Microsoft accepts it").await;
    town.tenant.set_secret(NEXT);
    town.tenant.revoke_tokens();
    announces(&town, &mut Vec::new()).await;
    fs::remove_file(&second).unwrap();
    town.daemon()
        .says("Could not read the client secret, keeping the current one")
        .await;
    announces(&town, &mut vec!["PENDING"]).await;
    town.finish().await;
}

#[tokio::test]
async fn secrets_that_are_all_rejected_are_one_error() {
    let town = Town::build().await;
    let config = config_with(&town, &format!("app_secret = [\"{OLD}\", \"{NEXT}\"]"));
    let parts = [
        "could not get a token for Graph: Microsoft rejects each of the 2 client secrets",
        "AADSTS7000215",
    ];
    fails(&town, town.settings(&config), &parts, "not to its ID").await;
    let asked = town.tenant.calls().into_iter();
    assert_eq!(asked.filter(|call| call.path.ends_with("/token")).count(), 2);
}

#[test]
fn a_problem_names_the_place_in_the_list() {
    let check = |value: &str, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("teleport-msteams.toml");
        fs::write(&file, format!("[msapi]\napp_secret = {value}\n")).unwrap();
        let problems = teleport_msteams::config::load(&file, &|_| None).unwrap_err();
        let shown = problems.to_string();
        assert!(shown.contains(&format!("msapi.app_secret: {expected}")), "{shown}");
    };
    check("[]", "missing");
    check("5", "expected a string");
    check("[\"good-enough\", 5]", "secret 2 expected a string");
    check("[\"good-enough\", \"\"]", "secret 2 missing");
    check("[\"<secret>\"]", "secret 1 still has the placeholder value");
    check("[\"/no/such/file\"]", "secret 1 could not read /no/such/file");
    check(
        "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]",
        "has more than 8 secrets",
    );
}

#[tokio::test]
async fn one_secret_still_needs_no_list() {
    let mut town = Town::build().await;
    town.start_daemon().await;
    announces(&town, &mut Vec::new()).await;
    town.sees(ALICE, &["PENDING"]).await;
    assert!(!town.daemon().log().contains("of the list"), "{}", town.daemon().log());
    town.finish().await;
}
