//! How the app authenticates to Microsoft: each kind of credential from the configuration to the card, and its mistakes.

mod certificate;
mod clouds;
mod federation;
mod identity;
mod secrets;

use std::fs;

use teleport_msteams::config;

use crate::process::run;
use crate::support::{ALICE, Town, for_alice, private_folder};

/// Returns the configuration of a town with other lines in place of its client secret.
pub(super) fn config_with(town: &Town, lines: &str) -> String {
    let config = town.config();
    let secret = format!("app_secret = \"{}\"", town.tenant.options().app_secret);
    assert!(config.contains(&secret), "{config}");
    config.replace(&secret, lines)
}

/// Creates a request and waits for its card.
pub(super) async fn announces(town: &Town, words: &mut Vec<&'static str>) {
    let id = town.cluster.create(for_alice());
    words.push("PENDING");
    town.sees(ALICE, words).await;
    town.settled(&id).await;
}

/// Runs `validate --all` with this configuration, and returns the status and the output.
pub(super) async fn validate(town: &Town, config: &str, more: &[&str]) -> (Option<i32>, String) {
    let (status, stdout, _) = town.run(config, &[&["validate", "--all"], more].concat()).await;
    (status, stdout)
}

/// Returns an environment with these variables.
pub(super) fn environment(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }
}

/// Reads a configuration with only these lines in `[msapi]`, and returns its problems and their hints.
pub(super) fn problem_of(lines: &str, environment: &dyn Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let folder = private_folder();
    let file = folder.path().join("teleport-msteams.toml");
    fs::write(&file, format!("[msapi]\n{lines}\n")).unwrap();
    let problems = config::load(&file, environment).unwrap_err();
    let hints = problems.list.iter().map(|problem| problem.hint.clone()).collect();
    (problems.to_string(), hints)
}

#[tokio::test]
async fn configure_writes_the_chosen_credential() {
    let folder = private_folder();
    let file = folder.path().join("file").display().to_string();
    let id = "11111111-1111-4111-8111-111111111111";
    let advice = "safer than a client secret";
    for (number, (flag, value, line)) in [
        (
            "--clientCertificate",
            file.as_str(),
            format!("client_certificate = {file:?}"),
        ),
        (
            "--federatedTokenFile",
            &file,
            format!("federated_token_file = {file:?}"),
        ),
        ("--federatedTokenFile", "true", "federated_token_file = true".to_owned()),
        ("--managedIdentity", id, format!("managed_identity = {id:?}")),
        ("--managedIdentity", "true", "managed_identity = true".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = folder.path().join(number.to_string());
        let folder = folder.to_str().unwrap();
        let arguments = ["configure", folder, "--appID", id, "--tenantID", id, flag, value];
        let (status, stdout, stderr) = run(&arguments).await;
        assert_eq!(status, Some(0), "{stderr}");
        assert!(!stdout.contains(advice), "{stdout}");
        let warning = format!("WARNING: there is no file {file}");
        assert_eq!(stderr.contains(&warning), value == file, "{stderr}");
        let text = fs::read_to_string(format!("{folder}/teleport-msteams.toml")).unwrap();
        assert!(
            text.contains(&format!("\n{line}\n")) && !text.contains("app_secret"),
            "{text}"
        );
    }
    let folder = folder.path().join("wrong");
    let ids = ["configure", folder.to_str().unwrap(), "--appID", id, "--tenantID", id];
    let (status, _, stderr) = run(&[&ids[..], &["--managedIdentity", "my-identity"]].concat()).await;
    assert_eq!(status, Some(2));
    assert!(stderr.contains("expected true, or a client ID such as"), "{stderr}");
    let both = [
        "configure",
        "x",
        "--appID",
        id,
        "--tenantID",
        id,
        "--managedIdentity",
        id,
    ];
    let (status, _, stderr) = run(&[&both[..], &["--appSecret", "plantedsecret"]].concat()).await;
    assert_eq!(status, Some(2));
    assert!(stderr.contains("cannot be used with"), "{stderr}");
}
