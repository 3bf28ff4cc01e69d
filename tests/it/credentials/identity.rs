//! Managed identities: from the machine to the card, and their mistakes.

use std::fs;

use teleport_msteams::config::Settings;

use crate::credentials::{announces, config_with, environment, problem_of};
use crate::support::{Program, Town, fails};
use crate::world::corporate::{Corporate, Speaks};
use crate::world::tenant::{Fault, Rule};
use crate::world::web::WebAuthority;

/// Reads a configuration on a machine with these variables.
fn settings(town: &Town, value: &str, variables: &[(&str, &str)]) -> Settings {
    let config = config_with(town, &format!("managed_identity = {value}"));
    let loaded = town.load_in(&config, &environment(variables)).unwrap();
    let limits = town.settings(&town.config()).limits;
    Settings {
        limits,
        ..loaded.settings
    }
}

#[tokio::test]
async fn a_virtual_machine_needs_no_credential() {
    let mut town = Town::build().await;
    let app_id = town.tenant.options().app_id.clone();
    town.tenant.assign_identity(&app_id);
    let metadata = town.tenant.metadata();
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
    for value in ["true".to_owned(), format!("{app_id:?}")] {
        let settings = settings(&town, &value, &variables);
        town.start_daemon_on(settings).await;
    }
    announces(&town, &mut Vec::new()).await;
    let calls = town.tenant.calls();
    assert!(calls.iter().all(|call| !call.path.starts_with("/login")), "{calls:?}");
    let issued = calls.iter().filter(|call| call.path.starts_with("/metadata"));
    assert_eq!(issued.count(), 4, "one token for each service and daemon");
    town.finish().await;
}

#[tokio::test]
async fn app_service_needs_no_credential() {
    let mut town = Town::build().await;
    town.tenant.assign_identity(&town.tenant.options().app_id.clone());
    let (endpoint, header) = town.tenant.app_service();
    let variables = [
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", &header),
        // The endpoint of App Service counts.
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1"),
    ];
    let settings = settings(&town, "true", &variables);
    town.start_daemon_on(settings).await;
    announces(&town, &mut Vec::new()).await;
    town.finish().await;
}

#[tokio::test]
async fn the_endpoint_is_never_reached_through_a_proxy() {
    let town = Town::build().await;
    let corporate = Corporate::start(Speaks::Connect, &WebAuthority::new(), None, &[]).await;
    let proxy = format!("http://{}", corporate.address());
    let variables = [
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://metadata.invalid"),
        ("HTTPS_PROXY", &proxy),
    ];
    let parts = ["there is no managed identity here: metadata.invalid does not answer"];
    fails(
        &town,
        settings(&town, "true", &variables),
        &parts,
        "on a machine in Azure",
    )
    .await;
    assert_eq!(corporate.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn validate_names_the_identity_and_its_endpoint() {
    let town = Town::build().await;
    let app_id = town.tenant.options().app_id.clone();
    town.tenant.assign_identity(&app_id);
    let (endpoint, header) = town.tenant.app_service();
    let metadata = town.tenant.metadata();
    for (value, variables, expected) in [
        (
            "true".to_owned(),
            vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", &metadata)],
            format!("managed identity {app_id}, from the metadata service at 127.0.0.1"),
        ),
        (
            format!("{app_id:?}"),
            vec![("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", &header)],
            format!("managed identity {app_id}, from App Service at 127.0.0.1"),
        ),
    ] {
        let file = town.folder.path().join("teleport-msteams.toml");
        fs::write(&file, config_with(&town, &format!("managed_identity = {value}"))).unwrap();
        let mut program = Program::new(&["validate", "--all", "-c", file.to_str().unwrap()]);
        for (name, value) in variables {
            program = program.env(name, value);
        }
        let (status, shown, _) = program.run().await;
        assert_eq!(status, Some(0), "{shown}");
        assert!(!shown.contains("the managed identity is the app"), "{shown}");
        assert!(
            shown.contains(&format!("ok  credential of the app: {expected}")),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn validate_warns_if_the_identity_is_not_the_bot() {
    let town = Town::build().await;
    let other = "11111111-2222-3333-4444-555555555555";
    town.tenant.assign_identity(other);
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, config_with(&town, &format!("managed_identity = {other:?}"))).unwrap();
    let program = Program::new(&["validate", "--all", "-c", file.to_str().unwrap()]);
    let program = program.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", town.tenant.metadata());
    let (_, shown, _) = program.run().await;
    let app_id = &town.tenant.options().app_id;
    let warning = format!("warning  credential of the app: the managed identity is the app {other}, not {app_id}");
    assert!(shown.contains(&warning), "{shown}");
    assert!(
        shown.contains("hint: Set `[msapi] app_id` to the client ID of the identity"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_missing_identity_is_explained_soon() {
    let town = Town::build().await;
    let metadata = town.tenant.metadata();
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
    let parts = [
        "could not get a token for Graph: this machine does not have the managed identity",
        "(400)",
    ];
    let hint = "Assign a managed identity to this machine, and set `[msapi] managed_identity` to its client ID";
    fails(&town, settings(&town, "true", &variables), &parts, hint).await;
    town.tenant.assign_identity("11111111-2222-3333-4444-555555555555");
    let other = format!("{:?}", town.tenant.options().app_id);
    fails(&town, settings(&town, &other, &variables), &parts, hint).await;

    // There is nothing at this address.
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")];
    let parts = ["there is no managed identity here: 127.0.0.1 does not answer"];
    let hint = "Run the program on a machine in Azure with a managed identity";
    fails(&town, settings(&town, "true", &variables), &parts, hint).await;

    // Something else answers, at an address that is not that of the login service.
    let rule = Rule::every("GET", "/metadata", Fault::Page(200, "application/json", "{}"));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let elsewhere = metadata.replace("127.0.0.1", "localhost");
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", elsewhere.as_str())];
    let parts = ["could not get a token for Graph"];
    let found = "Check what answers at localhost";
    fails(&town, settings(&town, "true", &variables), &parts, found).await;

    // The metadata service of another provider.
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
    let page = Fault::Page(404, "text/html", "<html>");
    let rule = Rule::every("GET", "/metadata", page);
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let parts = ["there is no managed identity here: it knows no managed identity"];
    fails(&town, settings(&town, "true", &variables), &parts, hint).await;

    let (endpoint, _) = town.tenant.app_service();
    let variables = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "old")];
    let parts = [
        "the endpoint of the managed identity rejects the header of this program",
        "(401)",
    ];
    let hint = "Restart the program, so that it receives the current IDENTITY_HEADER";
    fails(&town, settings(&town, "true", &variables), &parts, hint).await;
}

#[tokio::test]
async fn a_metadata_service_that_recovers_is_asked_again() {
    let mut town = Town::build().await;
    town.tenant.assign_identity(&town.tenant.options().app_id.clone());
    let metadata = town.tenant.metadata();
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str())];
    town.tenant.faults(|faults| {
        faults.rules = vec![
            Rule::some(1, "GET", "/metadata", Fault::Status(404, None)),
            Rule::some(1, "GET", "/metadata", Fault::Status(500, None)),
        ];
    });
    let settings = settings(&town, "true", &variables);
    town.start_daemon_on(settings).await;
    announces(&town, &mut Vec::new()).await;
    town.finish().await;
}

#[test]
fn mistakes_of_the_key_and_of_the_environment_are_named() {
    for (value, variables, expected) in [
        ("5", &[][..], "expected true or a client ID, got the number 5"),
        ("\"my identity\"", &[], "is not a client ID"),
        (
            "true",
            &[("IDENTITY_ENDPOINT", "http://localhost:1/token")],
            "IDENTITY_ENDPOINT is set without IDENTITY_HEADER, as on machines of Azure Arc",
        ),
        (
            "true",
            &[("IDENTITY_ENDPOINT", "nowhere"), ("IDENTITY_HEADER", "x")],
            "the environment variable IDENTITY_ENDPOINT is not a URL",
        ),
        (
            "true",
            &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "nowhere")],
            "the environment variable AZURE_POD_IDENTITY_AUTHORITY_HOST is not a URL",
        ),
    ] {
        let (shown, _) = problem_of(&format!("managed_identity = {value}"), &environment(variables));
        assert!(
            shown.contains("msapi.managed_identity: ") && shown.contains(expected),
            "{expected}: {shown}"
        );
    }
}

#[tokio::test]
async fn an_identity_that_is_not_the_bot_is_a_warning() {
    let town = Town::build().await;
    let config = config_with(&town, "managed_identity = \"11111111-2222-3333-4444-555555555555\"");
    let warnings = town.load(&config).unwrap().warnings;
    let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let expected = "msapi.managed_identity: \"11111111-2222-3333-4444-555555555555\" is not the app_id";
    assert!(shown.iter().any(|text| text.contains(expected)), "{shown:?}");
}
