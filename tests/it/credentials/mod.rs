//! How the app authenticates to Microsoft: each kind of credential from the configuration to the card, and its mistakes.

mod secrets;

use std::fs;

use crate::process::run;
use crate::support::{ALICE, Town, for_alice};

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
    let file = town.folder.path().join("teleport-msteams.toml");
    fs::write(&file, config).unwrap();
    let arguments = [&["validate", "--all", "-c", file.to_str().unwrap()], more].concat();
    let (status, stdout, _) = run(&arguments).await;
    (status, stdout)
}
