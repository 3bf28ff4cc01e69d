//! Load balancers that end TLS.

use std::fs;
use std::time::Duration;

use teleport_msteams::config::Upgrade;

use crate::routes::journey::{OURS, PATIENT, delivers, settings_for};
use crate::support::{Town, fails};
use crate::world::balancer::{Alpn, Balancer};
use crate::world::proxy::Proxy;
use crate::world::web::WebAuthority;

/// The error for a load balancer whose certificate authority the machine does not trust.
const UNTRUSTED: [&str; 2] = [
    "for the public web",
    "not from a certificate authority that this machine trusts",
];

#[tokio::test]
async fn up_1_and_2_load_balancers_of_each_kind_before_a_proxy() {
    for alpn in [Alpn::Ignored, Alpn::Http11, Alpn::Both] {
        let mut town = Town::build().await;
        let web = WebAuthority::new();
        let proxy = Proxy::start(&town.cluster).await;
        let balancer = Balancer::start(&proxy, &web, alpn, PATIENT).await;
        let settings = settings_for(&town, balancer.address(), &web);
        town.start_daemon_on(settings).await;
        town.daemon()
            .says(&format!("{} in a WebSocket", balancer.address()))
            .await;
        delivers(&town).await;
        let upgrades = proxy.seen().upgrades;
        assert_eq!(upgrades.len(), 1, "{upgrades:?}");
        let mut head = upgrades[0].clone();
        head.retain(|line| !line.starts_with("sec-websocket-key: "));
        head.sort();
        let host = format!("host: {}", balancer.address());
        let expected = [
            "GET /webapi/connectionupgrade",
            "connection: Upgrade",
            host.as_str(),
            "sec-websocket-protocol: alpn-ping",
            "sec-websocket-version: 13",
            "upgrade: websocket",
        ];
        assert_eq!(head, expected, "{alpn:?}");
        // The session inside is still with the Auth Service, end to end.
        assert_eq!(town.cluster.state().hellos[0].protocols, [OURS, "h2"]);
        town.finish().await;
    }
}

#[tokio::test]
async fn up_4_the_variable_overrides_detection() {
    let mut town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let mut settings = settings_for(&town, proxy.address(), &web);
    settings.teleport.upgrade = Upgrade::Always;
    // A Proxy can be asked for a WebSocket too, but its own certificate is no public one here.
    fails(&town, settings, &UNTRUSTED, "SSL_CERT_FILE").await;
    assert!(town.cluster.state().hellos.is_empty());

    let balancer = Balancer::start(&proxy, &web, Alpn::Ignored, PATIENT).await;
    let mut settings = settings_for(&town, balancer.address(), &web);
    settings.teleport.upgrade = Upgrade::Never;
    fails(
        &town,
        settings.clone(),
        &["not from a CA of sandbox.example.com"],
        "addr",
    )
    .await;
    settings.teleport.upgrade = Upgrade::Always;
    town.start_daemon_on(settings).await;
    delivers(&town).await;
    town.finish().await;
}

#[tokio::test]
async fn up_5_a_load_balancer_that_blocks_websockets() {
    let town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let balancer = Balancer::start(&proxy, &web, Alpn::Http11, PATIENT).await;
    let settings = settings_for(&town, balancer.address(), &web);
    for (status, part) in [(404, "it does not serve this path (404)"), (502, "it answered 502")] {
        proxy.seen_mut(|seen| seen.refuse_upgrades = Some(status));
        let parts = ["does not accept the WebSocket", part];
        fails(&town, settings.clone(), &parts, "Allow WebSockets").await;
    }
}

#[tokio::test]
async fn up_6_the_proxys_pings_keep_a_quiet_connection_alive() {
    let mut town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let balancer = Balancer::start(&proxy, &web, Alpn::Ignored, Duration::from_millis(500)).await;
    let settings = settings_for(&town, balancer.address(), &web);
    town.start_daemon_on(settings).await;
    // Ten times the balancer's idle timeout, measured by the pings themselves.
    let waiting = async {
        while proxy.seen().pongs < 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    assert_eq!(
        town.cluster.state().hellos.len(),
        1,
        "the connection was never opened anew"
    );
    delivers(&town).await;
    town.finish().await;
}

#[tokio::test]
async fn up_8_the_clusters_authorities_do_not_vouch_for_a_load_balancer() {
    let town = Town::build().await;
    let proxy = Proxy::start(&town.cluster).await;
    let balancer = Balancer::start(&proxy, &WebAuthority::new(), Alpn::Http11, PATIENT).await;
    let mut settings = settings_for(&town, balancer.address(), &WebAuthority::new());
    fails(&town, settings.clone(), &UNTRUSTED, "SSL_CERT_FILE").await;
    let authorities = town.folder.path().join("auth.cas");
    fs::write(&authorities, town.cluster.authority().authorities()).unwrap();
    settings.teleport.web_authorities = Some(authorities);
    fails(&town, settings.clone(), &UNTRUSTED, "SSL_CERT_FILE").await;
    settings.teleport.web_authorities = Some(town.folder.path().join("nowhere.pem"));
    fails(
        &town,
        settings,
        &["could not read the certificate authorities in", "nowhere.pem: "],
        "SSL_CERT_FILE",
    )
    .await;
}
