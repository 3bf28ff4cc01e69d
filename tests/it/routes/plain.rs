//! Routes to the Auth Service and Proxies, and the errors when none connects.

use std::time::Duration;

use teleport_msteams::config::{Limits, ProxyKind};

use crate::routes::journey::{OURS, PATIENT, delivers, proxy_settings, settings_for};
use crate::support::{ALICE, Town, fails};
use crate::world::balancer::{Alpn, Balancer};
use crate::world::cluster::{ClusterOptions, Draft};
use crate::world::corporate::{Corporate, Names, Speaks};
use crate::world::identity::{HostCertificate, Validity};
use crate::world::proxy::Proxy;
use crate::world::tenant::TenantOptions;
use crate::world::web::WebAuthority;

#[tokio::test]
async fn al_1_the_auth_service_itself() {
    let town = Town::start().await;
    delivers(&town).await;
    town.daemon()
        .says(&format!("{} directly", town.cluster.address()))
        .await;
    for hello in &town.cluster.state().hellos {
        assert_eq!(hello.server_name.as_deref(), Some("teleport.cluster.local"));
        assert_eq!(hello.protocols, [OURS, "h2"]);
        assert_eq!(hello.certificates, 1);
    }
    town.finish().await;
}

#[tokio::test]
async fn al_2_a_proxy_that_routes_by_the_first_protocol_and_is_never_asked_anything_else() {
    let mut town = Town::build().await;
    let proxy = Proxy::start(&town.cluster).await;
    let settings = settings_for(&town, proxy.address(), &WebAuthority::new());
    town.start_daemon_on(settings).await;
    delivers(&town).await;
    let seen = proxy.seen();
    assert_eq!(seen.protocols, [[OURS, "h2"]]);
    assert!(seen.upgrades.is_empty(), "{:?}", seen.upgrades);
    town.finish().await;
}

#[tokio::test]
async fn al_4_a_proxy_of_another_cluster_is_reported_immediately() {
    let town = Town::build().await;
    let proxy = Proxy::start_for(&town.cluster, "another.example.com").await;
    let settings = settings_for(&town, proxy.address(), &WebAuthority::new());
    let parts = [
        "closed the connection immediately",
        "of another cluster than sandbox.example.com",
    ];
    fails(&town, settings, &parts, "Proxy").await;
    // It answered as a Proxy, so nothing was tried that a load balancer would need.
    assert_eq!(
        proxy.seen().protocols,
        [vec![OURS, "h2"], vec!["teleport-reversetunnel"]]
    );
    assert!(proxy.seen().upgrades.is_empty());
}

#[tokio::test]
async fn al_6_a_server_whose_certificate_cannot_be_used_is_refused_with_the_reason() {
    let certificates = [
        (
            HostCertificate {
                name: "elsewhere.example.com",
                ..HostCertificate::default()
            },
            "teleport.cluster.local",
        ),
        (
            HostCertificate {
                validity: Validity::OVER,
                ..HostCertificate::default()
            },
            "expired",
        ),
        (
            HostCertificate {
                for_clients: true,
                ..HostCertificate::default()
            },
            "server",
        ),
    ];
    for (certificate, part) in certificates {
        let options = ClusterOptions {
            certificate,
            ..ClusterOptions::default()
        };
        let town = Town::build_with(options, TenantOptions::default()).await;
        let settings = town.settings(&town.config());
        fails(&town, settings, &["its certificate is invalid", part], "addr").await;
        assert!(town.cluster.calls().is_empty(), "nothing was sent");
    }
}

#[tokio::test]
async fn al_8_a_long_name_of_a_cluster() {
    let options = ClusterOptions {
        name: "a-cluster-with-a-name-of-more-than-forty-bytes.example.com".to_owned(),
        ..ClusterOptions::default()
    };
    let mut town = Town::build_with(options, TenantOptions::default()).await;
    let proxy = Proxy::start(&town.cluster).await;
    let settings = settings_for(&town, proxy.address(), &WebAuthority::new());
    town.start_daemon_on(settings).await;
    delivers(&town).await;
    town.finish().await;
}

#[tokio::test]
async fn gr_1_a_quiet_connection_is_shown_to_be_alive_and_not_too_often() {
    let mut town = Town::build().await;
    let milliseconds = Duration::from_millis;
    // Much shorter than the intervals in production, so that the test is quick.
    town.cluster.faults(|faults| faults.ping_minimum = milliseconds(300));
    let mut settings = town.settings(&town.config());
    assert_eq!(Limits::default().teleport_ping_every, Duration::from_secs(75));
    settings.limits.teleport_ping_every = milliseconds(375);
    town.start_daemon_on(settings).await;
    town.cluster.until("ten pings", |state| state.pings >= 10).await;
    assert_eq!(town.cluster.state().hellos.len(), 1, "no connection was closed");
    delivers(&town).await;
    town.finish().await;

    // The server means it.
    let mut town = Town::build().await;
    town.cluster.faults(|faults| faults.ping_minimum = milliseconds(300));
    let mut settings = town.settings(&town.config());
    settings.limits.teleport_ping_every = milliseconds(100);
    town.start_daemon_on(settings).await;
    town.daemon().says("Connection problem detected").await;
    town.finish().await;
}

#[tokio::test]
async fn gr_3_an_answer_of_six_mebibytes() {
    let mut town = Town::build().await;
    for _ in 0..7 {
        let id = town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
        let data = [("note_of_another_version".to_owned(), "x".repeat(900_000))];
        town.cluster.set_plugin_data(&id, data.into());
    }
    town.start_daemon().await;
    town.sees(ALICE, &["PENDING"; 7]).await;
    town.finish().await;
}

#[tokio::test]
async fn er_1_an_unreachable_cluster_is_reported_with_each_route_tried() {
    let town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    proxy.seen_mut(|seen| seen.refuse_upgrades = Some(502));
    let balancer = Balancer::start(&proxy, &web, Alpn::Http11, PATIENT).await;
    let error = town.fails_to_start(settings_for(&town, balancer.address(), &web)).await;
    let teleport = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<teleport_msteams::teleport::Error>());
    let address = balancer.address();
    assert_eq!(
        teleport.unwrap().tried(),
        [
            format!("{address} directly: TLS with {address} failed: it sent the alert NoApplicationProtocol"),
            format!(
                "{address} in a WebSocket: {address} does not accept the WebSocket: it answered 502 Bad \
                 Gateway"
            ),
        ]
    );
}

#[tokio::test]
async fn the_watch_survives_a_route_that_disappears_and_takes_another() {
    let mut town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let balancer = Balancer::start(&proxy, &web, Alpn::Both, PATIENT).await;
    let names = Names::new(&[("teleport.test:443", proxy.address())]);
    let corporate = Corporate::start_with(Speaks::Connect, &web, None, names.clone()).await;
    let mut settings = settings_for(&town, "teleport.test:443", &web);
    settings.teleport.proxy = Some(proxy_settings(ProxyKind::Http, &corporate, None));
    town.start_daemon_on(settings).await;

    let mut words = Vec::new();
    for (address, route) in [
        (
            balancer.address(),
            "Watcher connected route=teleport.test:443 in a WebSocket",
        ),
        (proxy.address(), "Watcher connected route=teleport.test:443 directly"),
    ] {
        names.set("teleport.test:443", address);
        town.stop_teleport().await;
        town.cluster.start_again().await;
        town.daemon().says_next(route).await;
        town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
        words.push("PENDING");
        town.sees(ALICE, &words).await;
    }
    town.expects_warnings(&["Connection problem detected, attempting to reconnect"]);
    town.allows_warnings(&[
        "Service fails, retrying service=\"Teleport\"",
        "Could not record delivered cards",
        "Access Request deferred",
    ]);
    town.finish().await;
}
