//! The diagnostics port: probes and metrics.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{ALICE, BOB, Town, fails, secrets};
use crate::world::cluster::{Draft, Verdict, rule};

/// Starts a daemon whose port the system chooses, and returns its address.
pub(crate) async fn start(town: &mut Town) -> String {
    let config = town.config();
    start_with(town, &config).await
}

/// Starts a daemon with another configuration.
pub(crate) async fn start_with(town: &mut Town, config: &str) -> String {
    let config = format!("diag_addr = \":0\"\n{config}");
    town.start_daemon_with(&config).await;
    let log = town.daemon().log();
    let line = log
        .lines()
        .find(|line| line.contains("Serving health checks and metrics"))
        .unwrap();
    let address = line.split('"').nth(1).unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    address.to_owned()
}

/// Sends a request, and returns the status and the body.
pub(crate) async fn ask(address: &str, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    secrets::check("an answer of the port", &answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// Sends requests until the answer matches.
pub(crate) async fn until(address: &str, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
    let asking = async {
        loop {
            let (status, body) = ask(address, "GET", path).await;
            if wanted(status, &body) {
                return body;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), asking)
        .await
        .unwrap()
}

#[tokio::test]
async fn probes_report_what_is_missing() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    assert_eq!(ask(&address, "GET", "/livez").await, (200, "ok\n".to_owned()));
    until(&address, "/readyz", |status, _| status == 200).await;
    assert_eq!(ask(&address, "GET", "/").await.0, 404);
    assert_eq!(ask(&address, "POST", "/livez").await.0, 405);
    town.stop_teleport().await;
    let missing = until(&address, "/readyz", |status, _| status == 503).await;
    assert_eq!(missing, "not receiving events from Teleport\n");
    assert_eq!(ask(&address, "GET", "/livez").await.0, 200, "a restart would not help");
    town.cluster.start_again().await;
    until(&address, "/readyz", |status, _| status == 200).await;
    // A silent client does not keep it from stopping.
    let _silent = TcpStream::connect(&address).await.unwrap();
    town.finish().await;
}

#[tokio::test]
async fn events_are_counted() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    let id = town.cluster.create(Draft::default());
    town.sees(ALICE, &["PENDING"]).await;
    town.sees(BOB, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
    town.sees(BOB, &["APPROVED"]).await;
    town.cut_streams();
    town.daemon().says_next("Watcher connected").await;
    let expiry = expiry(&town.daemon().log());
    for line in [
        "teleport_msteams_watch_connected 1".to_owned(),
        "teleport_msteams_deliveries_total{audience=\"reviewers\",outcome=\"posted\"} 2".to_owned(),
        "teleport_msteams_deliveries_total{audience=\"reviewers\",outcome=\"updated\"} 2".to_owned(),
        "teleport_msteams_delivery_seconds_count{audience=\"reviewers\",change=\"announcement\"} 2".to_owned(),
        "teleport_msteams_delivery_seconds_count{audience=\"reviewers\",change=\"resolution\"} 2".to_owned(),
        "teleport_msteams_delivery_seconds_count{audience=\"reviewers\",change=\"review\"} 0".to_owned(),
        "teleport_msteams_request_events_total{state=\"pending\"} 1".to_owned(),
        "teleport_msteams_request_events_total{state=\"approved\"} 1".to_owned(),
        "teleport_msteams_reconnects_total 1".to_owned(),
        "teleport_msteams_retries_total{api=\"teleport\"} 0".to_owned(),
        format!("teleport_msteams_identity_expiry_timestamp_seconds {expiry}"),
        "teleport_msteams_identity_renewals_total{outcome=\"failed\"} 0".to_owned(),
    ] {
        until(&address, "/metrics", |status, text| {
            status == 200 && text.lines().any(|found| found == line)
        })
        .await;
    }
    town.finish().await;
}

#[tokio::test]
async fn valid_and_invalid_rules_are_counted() {
    let mut town = Town::build().await;
    town.cluster.put_rule(rule("good", "false", &[BOB]));
    town.cluster.put_rule(rule("broken", "true &&", &[BOB]));
    town.cluster.put_rule(rule("failing", "choose()", &[BOB]));
    let address = start(&mut town).await;
    let id = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    for line in [
        "teleport_msteams_rules{state=\"in_force\"} 2",
        "teleport_msteams_rules{state=\"broken\"} 1",
        "teleport_msteams_rule_errors_total{kind=\"parse\"} 1",
        "teleport_msteams_rule_errors_total{kind=\"eval\"} 1",
    ] {
        until(&address, "/metrics", |_, text| text.lines().any(|found| found == line)).await;
    }
    town.expects_warnings(&[
        "Access Monitoring Rule is invalid and was skipped rule=\"broken\"",
        "rule=\"failing\" part=\"condition\"",
    ]);
    town.finish().await;
}

#[tokio::test]
async fn reloads_are_counted() {
    let mut town = Town::build().await;
    let address = start(&mut town).await;
    let good = town.load(&format!("diag_addr = \":0\"\n{}", town.config()));
    town.daemon().reload(good).await;
    town.daemon().reload(town.load("[teleport]")).await;
    for outcome in ["done", "refused"] {
        let line = format!("teleport_msteams_reloads_total{{outcome=\"{outcome}\"}} 1");
        until(&address, "/metrics", |_, text| text.lines().any(|found| found == line)).await;
    }
    town.finish().await;
}

/// Returns the expiry of the credentials from the log.
fn expiry(log: &str) -> i64 {
    let line = log.lines().find(|line| line.contains("Credentials loaded")).unwrap();
    let text = line.split("expires=").nth(1).unwrap().split(' ').next().unwrap();
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[tokio::test]
async fn a_port_that_is_in_use_is_reported() {
    let town = Town::build().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("diag_addr = \"{address}\"\n{}", town.config());
    let part = format!("could not open the port {address} of diag_addr");
    fails(&town, town.settings(&config), &[&part, "in use"], "").await;
}
