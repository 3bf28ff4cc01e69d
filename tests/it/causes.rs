//! The first log line about an outage comes soon and names the cause.

use std::time::Duration;

use teleport_msteams::config;
use teleport_msteams::config::Settings;
use tokio_rustls::TlsAcceptor;

use crate::support::{ALICE, Town, fails, for_alice};
use crate::world::cluster::Draft;
use crate::world::corporate::{Corporate, Speaks};
use crate::world::port::{listen, serve};
use crate::world::tenant::{Fault, Rule};
use crate::world::web::WebAuthority;

/// Returns settings with every Microsoft service at one address.
fn everything_at(town: &Town, url: &str) -> Settings {
    let mut settings = town.settings(&town.config());
    let endpoints = &mut settings.microsoft.endpoints;
    endpoints.login = url.parse().unwrap();
    endpoints.graph = url.parse().unwrap();
    endpoints.bot = url.parse().unwrap();
    settings.limits.microsoft_attempts = 2;
    settings
}

/// Adds the proxies of this environment to the settings.
fn with_environment(town: &Town, settings: Settings, variables: &[(&str, &str)]) -> Settings {
    let file = town.folder.path().join("teleport-msteams.toml");
    let environment = |name: &str| {
        let mut all = variables.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let loaded = config::load(&file, &environment).unwrap();
    let mut settings = settings;
    settings.microsoft.proxies = loaded.settings.microsoft.proxies;
    settings
}

#[tokio::test]
async fn an_untrusted_certificate_is_reported_with_its_issuer() {
    let town = Town::build().await;
    let authority = WebAuthority::new();
    let acceptor = TlsAcceptor::from(authority.server_config(&["h2", "http/1.1"]));
    let (listener, address) = listen().await;
    serve(listener, move |stream| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(stream).await.map(|_| ()) }
    });
    let settings = everything_at(&town, &format!("https://{address}"));
    let parts = [
        "the certificate of 127.0.0.1 is not trusted",
        "issued by O=Pretend Web Authority, CN=Pretend Web Authority",
    ];
    fails(&town, settings, &parts, "SSL_CERT_FILE").await;
}

#[tokio::test]
async fn a_proxy_that_requires_a_password_or_refuses_is_reported() {
    let town = Town::build().await;
    let web = WebAuthority::new();
    let settings = everything_at(&town, "https://login.example.net");
    let corporate = Corporate::start(Speaks::Connect, &web, Some("me:plantedsecret"), &[]).await;
    let proxy = format!("http://{}", corporate.address());
    let through = with_environment(&town, settings.clone(), &[("HTTPS_PROXY", &proxy)]);
    let wants = format!("the proxy {proxy} requires a user name and a password (407)");
    fails(
        &town,
        through,
        &[&wants],
        "Set HTTPS_PROXY=http://user:password@host:port",
    )
    .await;

    let proxy = format!("http://me:plantedsecret@{}", corporate.address());
    let through = with_environment(&town, settings.clone(), &[("HTTPS_PROXY", &proxy)]);
    fails(&town, through, &["refused to connect to login.example.net"], "NO_PROXY").await;
    let asked = "CONNECT login.example.net:443 HTTP/1.1 me:plantedsecret";
    assert!(corporate.asked().iter().any(|line| line == asked));

    let before = corporate.asked().len();
    let variables = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "*.example.net")];
    let around = with_environment(&town, settings, &variables);
    fails(&town, around, &["login.example.net"], "login.example.net").await;
    assert_eq!(corporate.asked().len(), before);
}

#[tokio::test]
async fn microsoft_is_reached_through_a_socks_proxy() {
    let town = Town::build().await;
    let settings = everything_at(&town, "https://login.example.net");
    let socks = Corporate::start(Speaks::Socks5, &WebAuthority::new(), None, &[]).await;
    let proxy = format!("socks5://{}", socks.address());
    let through = with_environment(&town, settings, &[("HTTPS_PROXY", &proxy)]);
    fails(&town, through, &["could not get a token"], &proxy).await;
    assert!(
        socks
            .asked()
            .iter()
            .any(|line| line == "SOCKS5 login.example.net:443 -")
    );
}

#[tokio::test]
async fn unreachable_names_and_ports_are_reported() {
    let town = Town::build().await;
    let settings = everything_at(&town, "https://no-such-host.invalid");
    let parts = ["could not resolve the name of no-such-host.invalid"];
    fails(&town, settings, &parts, "DNS").await;
    let (listener, address) = listen().await;
    drop(listener);
    let settings = everything_at(&town, &format!("http://{address}"));
    fails(&town, settings, &["127.0.0.1 refused the connection"], "firewall").await;
}

#[tokio::test]
async fn a_failing_login_service_at_the_start_is_not_retried_within_retries() {
    let town = Town::build().await;
    let busy = Fault::Status(503, None);
    let rule = Rule::every("POST", "/oauth2/v2.0/token", busy.clone());
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let parts = ["could not get a token for Graph", "503"];
    fails(&town, town.settings(&town.config()), &parts, "").await;
    assert_eq!(town.tenant.met(&busy), 5);
}

#[tokio::test]
async fn a_silent_login_service_is_reported_after_the_first_attempt() {
    let mut town = Town::build().await;
    let rule = Rule::every("POST", "/oauth2/v2.0/token", Fault::Hang);
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let mut settings = town.settings(&town.config());
    // The second attempt would end after this test's timeout.
    settings.limits.microsoft_first_pause = Duration::from_mins(10);
    settings.limits.microsoft_longest_pause = Duration::from_mins(10);
    town.start_daemon_until(settings, "Service fails, retrying service=\"Microsoft login\"")
        .await;
    town.daemon().says("no answer from 127.0.0.1 in time").await;
    town.kill_daemon();
    town.finish().await;
}

#[tokio::test]
async fn a_login_service_that_demands_a_long_pause_is_reported_before_it() {
    let mut town = Town::build().await;
    let busy = Rule::every("POST", "/oauth2/v2.0/token", Fault::Status(503, Some(25)));
    town.tenant.faults(|faults| faults.rules = vec![busy]);
    let mut settings = town.settings(&town.config());
    settings.limits.microsoft_longest_pause = Duration::from_secs(30);
    town.start_daemon_until(settings, "Service fails, retrying service=\"Microsoft login\"")
        .await;
    town.daemon().says("503").await;
    town.kill_daemon();
    town.finish().await;
}

#[tokio::test]
async fn a_new_cause_is_reported_during_an_outage() {
    let town = Town::start().await;
    let every = |fault| vec![Rule::every("POST", "/activities", fault)];
    town.tenant
        .faults(|faults| faults.rules = every(Fault::Status(503, None)));
    town.cluster.create(for_alice());
    town.daemon()
        .says("Service fails, retrying service=\"Bot connector\"")
        .await;
    let page = Fault::Page(403, "text/html", "<html>Blocked</html>");
    town.tenant.faults(|faults| faults.rules = every(page));
    town.daemon()
        .until("a second line of the outage", |log| {
            let mut lines = log.lines().filter(|line| line.contains(" WARN "));
            lines.any(|line| {
                line.contains("service=\"Bot connector\"") && line.contains("answered instead of Microsoft")
            })
        })
        .await;
    town.tenant.faults(|faults| faults.rules.clear());
    town.sees(ALICE, &["PENDING"]).await;
    town.expects_warnings(&["Service still fails service=\"Bot connector\""]);
    town.allows_warnings(&["Delivery failed, will retry"]);
    town.finish().await;
}

#[tokio::test]
async fn deferred_deliveries_are_retried_when_the_service_recovers() {
    let mut town = Town::build().await;
    let mut settings = town.settings(&town.config());
    settings.limits.again_first_pause = Duration::from_mins(10);
    settings.limits.again_longest_pause = Duration::from_mins(10);
    town.start_daemon_on(settings).await;
    let rule = Rule::every("POST", "/activities", Fault::Status(503, None));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    for _ in 0..3 {
        town.cluster.create(for_alice());
    }
    town.daemon().says_times(3, "Delivery failed, will retry").await;
    town.tenant.faults(|faults| faults.rules.clear());
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"; 4]).await;
    town.expects_warnings(&["Service fails, retrying service=\"Bot connector\""]);
    town.finish().await;
}

#[tokio::test]
async fn tokens_that_claim_to_be_expired_cause_no_storm_of_logins() {
    let mut town = Town::build().await;
    town.tenant.faults(|faults| faults.token_says = Some(0));
    town.start_daemon().await;
    for number in 1..6 {
        town.cluster.create(for_alice());
        town.sees(ALICE, &vec!["PENDING"; number]).await;
    }
    let calls = town.tenant.calls();
    let logins = calls.iter().filter(|call| call.path.ends_with("/token")).count();
    assert!(logins <= 4, "{logins} logins");
    town.finish().await;
}

#[tokio::test]
async fn an_invalid_token_is_reported_as_such() {
    let town = Town::build().await;
    let odd = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"two\r\nlines"}"#;
    let rule = Rule::every("POST", "/token", Fault::Page(200, "application/json", odd));
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let parts = ["the answer contains something that is not a token"];
    fails(
        &town,
        town.settings(&town.config()),
        &parts,
        "what answers at 127.0.0.1",
    )
    .await;
}

#[tokio::test]
async fn a_pause_of_years_is_capped_at_minutes() {
    let town = Town::start().await;
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    let odd = Fault::Status(429, Some(315_360_000));
    let rule = Rule::some(1, "GET", "/v1.0/users", odd.clone());
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    town.cluster.create(Draft {
        suggested_reviewers: vec!["carol@example.com".to_owned()],
        ..for_alice()
    });
    town.sees(ALICE, &["PENDING", "PENDING"]).await;
    town.daemon()
        .says("Service throttles requests service=\"Microsoft Graph\" retry_in=\"5m\"")
        .await;
    assert_eq!(town.tenant.met(&odd), 1);
    town.expects_warnings(&["Delivery failed, will retry"]);
    town.finish().await;
}

#[tokio::test]
async fn a_page_in_place_of_the_login_service_is_reported_at_the_start() {
    let town = Town::build().await;
    let page = Fault::Page(403, "text/html", "<html>Blocked</html>");
    let rule = Rule::every("POST", "/oauth2/v2.0/token", page);
    town.tenant.faults(|faults| faults.rules = vec![rule]);
    let parts = ["could not get a token for Graph: a proxy, firewall or gateway answered instead of Microsoft"];
    let hint = "on the path to 127.0.0.1";
    fails(&town, town.settings(&town.config()), &parts, hint).await;
}

#[tokio::test]
async fn a_new_cause_at_teleport_is_reported_after_an_outage() {
    let town = Town::start().await;
    let refused = |log: &str| {
        let mut lines = log.lines().filter(|line| line.contains(" WARN "));
        lines.any(|line| {
            line.contains("Connection problem detected") && line.contains("access denied to perform action")
        })
    };
    town.stop_teleport().await;
    town.daemon().says("Connection problem detected").await;
    town.cluster
        .faults(|faults| faults.deny_kinds = vec!["access_request", "access_monitoring_rule"]);
    town.cluster.start_again().await;
    town.daemon().until("a line about the role", refused).await;
    town.cluster.faults(|faults| faults.deny_kinds.clear());
    town.cluster.create(for_alice());
    town.sees(ALICE, &["PENDING"]).await;
    town.finish().await;
}
