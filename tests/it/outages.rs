//! The log during outages of Teleport and Microsoft.

use crate::support::{ALICE, Town};
use crate::world::cluster::Draft;
use crate::world::tenant::{Fault, Rule};

/// More than fit into one line for each, fewer than Microsoft's limits hold back for long.
const REQUESTS: usize = 6;

/// Creates requests that notify only Alice.
fn requests(town: &Town) {
    for _ in 0..REQUESTS {
        town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
    }
}

/// Expects one line about the end of a service's outage.
fn recovered_once(town: &Town, service: &str) {
    let infos = lines(town, "INFO");
    let line = format!("Service answers again service={service:?}");
    let recovered = infos.iter().filter(|info| info.contains(&line));
    assert_eq!(recovered.count(), 1, "{infos:#?}");
}

/// Returns the lines of a level, from their message on.
fn lines(town: &Town, level: &str) -> Vec<String> {
    let log = town.daemon().log();
    let lines = log.lines().filter_map(|line| {
        let (_, line) = line.split_once(&format!(" {level} "))?;
        Some(
            line.rsplit_once("teleport_msteams::")
                .map_or(line, |(_, rest)| rest)
                .to_owned(),
        )
    });
    lines.collect()
}

#[tokio::test]
async fn an_outage_of_microsoft_has_one_line_and_one_example_however_many_requests_wait() {
    let town = Town::start().await;
    town.tenant
        .faults(|faults| faults.rules = vec![Rule::every("POST", "/activities", Fault::Status(503, None))]);
    requests(&town);
    town.daemon().says_times(REQUESTS, "Delivery failed, will retry").await;
    let warnings = lines(&town, "WARN");
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0].contains("Service fails, retrying service=\"Bot connector\""),
        "{warnings:#?}"
    );
    assert!(warnings[0].contains("503"), "{warnings:#?}");
    assert!(warnings[1].contains("Delivery failed, will retry"), "{warnings:#?}");
    town.tenant.faults(|faults| faults.rules.clear());
    town.sees(ALICE, &["PENDING"; REQUESTS]).await;
    recovered_once(&town, "Bot connector");
    town.expects_warnings(&["Service fails, retrying service=\"Bot connector\""]);
    town.finish().await;
}

#[tokio::test]
async fn an_outage_of_teleport_has_one_line_and_one_example_however_many_requests_wait() {
    let town = Town::start().await;
    town.cluster.faults(|faults| faults.deny_plugin_data = true);
    requests(&town);
    town.daemon().says_times(REQUESTS, "Access Request deferred").await;
    let warnings = lines(&town, "WARN");
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0].contains("Service fails, retrying service=\"Teleport\""),
        "{warnings:#?}"
    );
    assert!(warnings[0].contains("hint="), "{warnings:#?}");
    assert!(warnings[1].contains("Access Request deferred"), "{warnings:#?}");
    town.cluster.faults(|faults| faults.deny_plugin_data = false);
    town.sees(ALICE, &["PENDING"; REQUESTS]).await;
    recovered_once(&town, "Teleport");
    town.expects_warnings(&["Service fails, retrying service=\"Teleport\""]);
    town.finish().await;
}

#[tokio::test]
async fn a_secret_that_expires_at_run_time_is_reported_immediately_with_its_hint() {
    let mut town = Town::build().await;
    town.tenant.faults(|faults| faults.token_lives = Some(1));
    town.start_daemon().await;
    let expired = Rule::every("POST", "/oauth2/v2.0/token", Fault::TokenError(7_000_222));
    town.tenant.faults(|faults| faults.rules = vec![expired]);
    town.daemon()
        .says("Service fails, retrying service=\"Microsoft login\"")
        .await;
    let warnings = lines(&town, "WARN");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("the client secret has expired"), "{warnings:#?}");
    assert!(warnings[0].contains("Create a new client secret"), "{warnings:#?}");
    town.finish().await;
}

#[tokio::test]
async fn throttling_is_logged_once_and_the_requests_it_defers_are_not() {
    let town = Town::start().await;
    let busy = Rule::some(6, "POST", "/activities", Fault::Status(429, Some(1)));
    town.tenant.faults(|faults| faults.rules = vec![busy]);
    requests(&town);
    town.sees(ALICE, &["PENDING"; REQUESTS]).await;
    let warnings = lines(&town, "WARN");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("Service throttles requests service=\"Bot connector\""),
        "{warnings:#?}"
    );
    town.expects_warnings(&["Service throttles requests service=\"Bot connector\""]);
    town.finish().await;
}
