//! Tokens of other issuers: from the file to the card, their renewal and their mistakes.

use std::fs;

use crate::credentials::{announces, config_with, environment, problem_of, validate};
use crate::support::{Town, fails};
use crate::world::tenant::FederatedCredential;

const HOUR: i64 = 3_600;

/// The federated credential of the app, as for a pod in AKS.
fn registered() -> FederatedCredential {
    FederatedCredential {
        issuer: "https://oidc.example.com/cluster".to_owned(),
        subject: "system:serviceaccount:teleport:msteams".to_owned(),
        audience: "api://AzureADTokenExchange".to_owned(),
    }
}

/// Writes a token to the file that the configuration names.
fn write(town: &Town, token: &str) -> String {
    let file = town.folder.path().join("token");
    fs::write(&file, token).unwrap();
    file.display().to_string()
}

/// Builds a town with a federated credential, and a token about another one; returns it with its configuration.
async fn town_with(about: &FederatedCredential, life: i64) -> (Town, String) {
    let town = Town::build().await;
    town.tenant.federate(Some(registered()));
    let file = write(&town, &format!("{}\n", town.tenant.workload_token(about, life)));
    let config = config_with(&town, &format!("federated_token_file = {file:?}"));
    (town, config)
}

#[tokio::test]
async fn a_token_of_another_issuer_replaces_the_secret_and_is_read_again() {
    let (mut town, config) = town_with(&registered(), HOUR).await;
    town.start_daemon_with(&config).await;
    let mut words = Vec::new();
    announces(&town, &mut words).await;

    let first = town.tenant.assertions().len();
    write(&town, &town.tenant.workload_token(&registered(), 2 * HOUR));
    let renewed = "Credential of the app renewed, Microsoft accepts it kind=\"federated token\"";
    town.daemon().says(renewed).await;
    let assertions = town.tenant.assertions();
    assert_eq!(assertions.len(), first + 2);
    assert_ne!(assertions[0]["claims"]["exp"], assertions[first]["claims"]["exp"]);

    // A file that is being replaced changes nothing.
    write(&town, "");
    town.daemon()
        .says("Could not read the credential of the app, keeping the current one kind=\"federated token\"")
        .await;
    town.tenant.revoke_tokens();
    announces(&town, &mut words).await;
    town.finish().await;
}

#[tokio::test]
async fn validate_shows_what_entra_compares() {
    let (town, config) = town_with(&registered(), HOUR).await;
    let (status, shown) = validate(&town, &config, &[]).await;
    assert_eq!(status, Some(0), "{shown}");
    for part in [
        "ok  credential of the app: federated token from ",
        "issuer https://oidc.example.com/cluster, subject system:serviceaccount:teleport:msteams, audience api://AzureADTokenExchange",
        "left)",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    write(&town, &town.tenant.workload_token(&registered(), -HOUR));
    let (status, shown) = validate(&town, &config, &[]).await;
    assert_eq!(status, Some(1), "{shown}");
    for part in [
        "warning  credential of the app: federated token from ",
        "(expired)",
        "such as the kubelet or tbot, renews",
        " expired at ",
        "AADSTS700024",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test]
async fn each_difference_from_the_federated_credential_is_named() {
    let other = |change: fn(&mut FederatedCredential)| {
        let mut other = registered();
        change(&mut other);
        other
    };
    for (about, life, code, detail, hint) in [
        (
            other(|about| about.issuer = "https://other.example.com/".to_owned()),
            HOUR,
            "AADSTS700211",
            "no federated credential of the app has the issuer https://other.example.com/",
            "Set the issuer of the federated credential of `[msapi] app_id` to exactly https://other.example.com/",
        ),
        (
            other(|about| about.subject = "spiffe://example.com/bot/msteams".to_owned()),
            HOUR,
            "AADSTS700213",
            "no federated credential of the app has the subject spiffe://example.com/bot/msteams",
            "to exactly spiffe://example.com/bot/msteams",
        ),
        (
            other(|about| about.audience = "teleport".to_owned()),
            HOUR,
            "AADSTS700212",
            "no federated credential of the app has the audience teleport",
            "usually api://AzureADTokenExchange, instead of teleport",
        ),
        (
            registered(),
            -HOUR,
            "AADSTS700024",
            "token expired at ",
            "such as the kubelet or tbot, renews ",
        ),
    ] {
        let (town, config) = town_with(&about, life).await;
        let parts = ["could not get a token for Graph: ", detail, code];
        fails(&town, town.settings(&config), &parts, hint).await;
    }
}

#[tokio::test]
async fn a_token_without_a_federated_credential_and_a_forged_one_are_explained() {
    let (town, config) = town_with(&registered(), HOUR).await;
    let token = town.tenant.workload_token(&registered(), HOUR);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let file = write(&town, &format!("{signed}.AAAA"));
    let parts = [
        &format!("the signature of the token in {file} cannot be verified"),
        "AADSTS50013",
    ];
    let hint = "Check that https://oidc.example.com/cluster/.well-known/openid-configuration names the key";
    fails(&town, town.settings(&config), &parts, hint).await;

    write(&town, &token);
    town.tenant.federate(None);
    let parts = [
        "no federated credential of the app matches the token (issuer https://oidc.example.com/cluster, subject",
        "AADSTS70021",
    ];
    let hint = "Create a federated credential for `[msapi] app_id` with the issuer https://oidc.example.com/cluster";
    fails(&town, town.settings(&config), &parts, hint).await;
}

#[tokio::test]
async fn the_environment_of_aks_names_the_file_and_the_ids() {
    let (mut town, config) = town_with(&registered(), HOUR).await;
    let options = town.tenant.options().clone();
    let file = town.folder.path().join("token").display().to_string();
    let config = config
        .replace(
            &format!("federated_token_file = {file:?}"),
            "federated_token_file = true",
        )
        .replace(&format!("app_id = \"{}\"\n", options.app_id), "")
        .replace(&format!("tenant_id = \"{}\"\n", options.tenant_id), "");
    assert!(!config.contains(&options.tenant_id) && !config.contains(&format!("\"{}\"", options.app_id)));
    let login = town.tenant.login();
    let variables = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.as_str()),
        ("AZURE_CLIENT_ID", &options.app_id),
        ("AZURE_TENANT_ID", &options.tenant_id),
        ("AZURE_AUTHORITY_HOST", &login),
    ];
    let loaded = town.load_in(&config, &environment(&variables)).unwrap();
    let limits = town.settings(&town.config()).limits;
    let settings = teleport_msteams::config::Settings {
        limits,
        ..loaded.settings
    };
    let cases = [
        (
            "AZURE_FEDERATED_TOKEN_FILE",
            "",
            "AZURE_FEDERATED_TOKEN_FILE is not set",
        ),
        (
            "AZURE_AUTHORITY_HOST",
            "https://login.microsoftonline.us/",
            "msapi.cloud: logs in at 127.0.0.1, but AZURE_AUTHORITY_HOST is \"https://login.microsoftonline.us/\"",
        ),
        ("AZURE_CLIENT_ID", "", "msapi.app_id: missing"),
    ];
    for (name, value, expected) in cases {
        let changed = variables.map(|(known, old)| (known, if known == name { value } else { old }));
        let problems = town.load_in(&config, &environment(&changed)).unwrap_err().to_string();
        assert!(problems.contains(expected), "{expected}: {problems}");
    }
    // A gateway stands for the login service of this cloud.
    let own = variables.map(|(name, value)| match name {
        "AZURE_AUTHORITY_HOST" => (name, "https://login.microsoftonline.com/"),
        _ => (name, value),
    });
    town.load_in(&config, &environment(&own)).unwrap();
    town.start_daemon_on(settings).await;
    announces(&town, &mut Vec::new()).await;
    town.finish().await;
}

#[test]
fn keys_that_contradict_each_other_or_the_environment_are_named() {
    let aks = environment(&[
        ("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
        ("AZURE_TENANT_ID", "22222222-2222-3333-4444-555555555555"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/no/such/token"),
    ]);
    let lines = "federated_token_file = true\napp_id = \"33333333-2222-3333-4444-555555555555\"";
    let (shown, hints) = problem_of(lines, &aks);
    let expected = "msapi.app_id: is \"33333333-2222-3333-4444-555555555555\", but AZURE_CLIENT_ID is \"11111111-2222-3333-4444-555555555555\"";
    assert!(shown.contains(expected), "{shown}");
    assert!(
        hints
            .iter()
            .any(|hint| hint.contains("annotations of the service account that set AZURE_CLIENT_ID"))
    );
    // Without `true` the environment does not count.
    let (shown, _) = problem_of("federated_token_file = \"/no/such/token\"", &aks);
    assert!(shown.contains("msapi.app_id: missing"), "{shown}");
    assert!(
        shown.contains("msapi.federated_token_file: could not read /no/such/token"),
        "{shown}"
    );

    for (value, expected) in [
        ("5", "expected a path or true, got the number 5"),
        ("\"token\"", "is not an absolute path"),
        ("\"/\"", "could not read /"),
    ] {
        let (shown, _) = problem_of(&format!("federated_token_file = {value}"), &|_| None);
        assert!(
            shown.contains(&format!("msapi.federated_token_file: {expected}")),
            "{shown}"
        );
    }
    let (shown, _) = problem_of("federated_token_file = false", &|_| None);
    assert!(shown.contains("msapi.app_secret: missing"), "{shown}");

    let keys = [
        "app_secret = \"good-enough\"",
        "client_certificate = \"/x\"",
        "federated_token_file = \"/x\"",
        "managed_identity = true",
    ];
    let name = |line: &str| line.split(' ').next().unwrap().to_owned();
    for (place, first) in keys.iter().enumerate() {
        for second in &keys[place + 1..] {
            let (shown, hints) = problem_of(&format!("{first}\n{second}"), &|_| None);
            let expected = format!("msapi.{}: cannot be combined with {}", name(second), name(first));
            assert!(shown.contains(&expected), "{expected}: {shown}");
            assert!(hints.contains(&"Keep one of them".to_owned()));
        }
    }
}

#[test]
fn a_file_without_a_token_is_explained() {
    let folder = crate::support::private_folder();
    let file = folder.path().join("token").display().to_string();
    for (content, expected) in [
        (String::new(), "is empty"),
        ("hello plantedsecret".to_owned(), "does not contain a JSON web token"),
        ("a..c".to_owned(), "does not contain a JSON web token"),
        ("a.b.c.d".to_owned(), "does not contain a JSON web token"),
        ("x".repeat(70_000), "is too large"),
    ] {
        fs::write(&file, content).unwrap();
        let (shown, _) = problem_of(&format!("federated_token_file = {file:?}"), &|_| None);
        let expected = format!("msapi.federated_token_file: {file} {expected}");
        assert!(shown.contains(&expected), "{expected}: {shown}");
        assert!(!shown.contains("plantedsecret"), "{shown}");
    }
}
