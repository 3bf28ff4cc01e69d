//! Every way to the cluster, each from the configuration to a card, and what is told where none leads there.

use std::fs;
use std::time::Duration;

use teleport_msteams::config::{HostPort, Login, ProxyKind, Settings, Upgrade};
use teleport_msteams::secret::Secret;

use crate::support::{ALICE, Town, fails};
use crate::world::balancer::{Alpn, Balancer};
use crate::world::cluster::{ClusterOptions, Draft, Verdict};
use crate::world::corporate::{Corporate, Speaks};
use crate::world::identity::{HostCertificate, Validity};
use crate::world::proxy::Proxy;
use crate::world::ssh_port;
use crate::world::tenant::TenantOptions;
use crate::world::web::WebAuthority;

const PATIENT: Duration = Duration::from_mins(1);

const OURS: &str = "teleport-auth@73616e64626f782e6578616d706c652e636f6d.teleport.cluster.local";

fn host_and_port(address: &str) -> HostPort {
    let (host, port) = address.rsplit_once(':').unwrap();
    HostPort {
        host: host.to_owned(),
        port: port.parse().unwrap(),
    }
}

/// Settings for another address than the cluster's own, with the web's authority on file.
fn settings_for(town: &Town, address: &str, web: &WebAuthority) -> Settings {
    let file = town.folder.path().join("web-authorities.pem");
    fs::write(&file, web.pem()).unwrap();
    let mut settings = town.settings(&town.config());
    settings.teleport.address = host_and_port(address);
    settings.teleport.web_authorities = Some(file);
    settings
}

fn proxy_settings(
    kind: ProxyKind,
    corporate: &Corporate,
    login: Option<(&str, &str)>,
) -> teleport_msteams::config::Proxy {
    teleport_msteams::config::Proxy {
        kind,
        address: host_and_port(corporate.address()),
        login: login.map(|(user, password)| Login {
            user: user.to_owned(),
            password: Secret::new(password),
        }),
    }
}

/// Makes a request, and waits for its card and for its end.
async fn delivers(town: &Town) {
    let id = town.cluster.create(Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    });
    town.sees(ALICE, &["PENDING"]).await;
    town.settled(&id).await;
    town.cluster.review(&id, "alice", Verdict::Approve, "ok");
    town.sees(ALICE, &["APPROVED"]).await;
}

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
async fn al_4_a_proxy_of_another_cluster_is_told_at_once() {
    let town = Town::build().await;
    let proxy = Proxy::start_for(&town.cluster, "another.example.com").await;
    let settings = settings_for(&town, proxy.address(), &WebAuthority::new());
    let parts = [
        "closed the connection at once",
        "does not know the cluster sandbox.example.com",
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
        fails(&town, settings, &["its certificate cannot be used", part], "addr").await;
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
async fn up_4_the_variable_decides_without_a_test() {
    let mut town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let mut settings = settings_for(&town, proxy.address(), &web);
    settings.teleport.upgrade = Upgrade::Always;
    // A Proxy can be asked for a WebSocket too, but its own certificate is no public one here.
    let parts = ["for the public web", "not from an authority that this machine trusts"];
    fails(&town, settings, &parts, "SSL_CERT_FILE").await;
    assert!(town.cluster.state().hellos.is_empty());

    let balancer = Balancer::start(&proxy, &web, Alpn::Ignored, PATIENT).await;
    let mut settings = settings_for(&town, balancer.address(), &web);
    settings.teleport.upgrade = Upgrade::Never;
    fails(
        &town,
        settings.clone(),
        &["not from an authority of sandbox.example.com"],
        "addr",
    )
    .await;
    settings.teleport.upgrade = Upgrade::Always;
    town.start_daemon_on(settings).await;
    delivers(&town).await;
    town.finish().await;
}

#[tokio::test]
async fn up_5_a_load_balancer_that_lets_no_websocket_through() {
    let town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let balancer = Balancer::start(&proxy, &web, Alpn::Http11, PATIENT).await;
    let settings = settings_for(&town, balancer.address(), &web);
    for (status, part) in [(404, "it does not know the way (404)"), (502, "it answered 502")] {
        proxy.seen_mut(|seen| seen.refuse_upgrades = Some(status));
        let parts = ["does not carry the connection in a WebSocket", part];
        fails(&town, settings.clone(), &parts, "let WebSockets through").await;
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
    // Ten times the balancer's patience, told by the pings themselves.
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
    fails(
        &town,
        settings.clone(),
        &["for the public web", "not from an authority that this machine trusts"],
        "SSL_CERT_FILE",
    )
    .await;
    let authorities = town.folder.path().join("auth.cas");
    fs::write(&authorities, town.cluster.authority().authorities()).unwrap();
    settings.teleport.web_authorities = Some(authorities);
    fails(
        &town,
        settings.clone(),
        &["for the public web", "not from an authority that this machine trusts"],
        "SSL_CERT_FILE",
    )
    .await;
    settings.teleport.web_authorities = Some(town.folder.path().join("nowhere.pem"));
    fails(&town, settings, &["nowhere.pem cannot be read"], "SSL_CERT_FILE").await;
}

#[tokio::test]
async fn hp_1_proxies_of_every_kind_with_a_name_and_a_password() {
    let web = WebAuthority::new();
    for (kind, speaks) in [
        (ProxyKind::Http, Speaks::Connect),
        (ProxyKind::Https, Speaks::ConnectInTls),
        (ProxyKind::Socks5, Speaks::Socks5),
    ] {
        let mut town = Town::build().await;
        let names = [("teleport.test:3025", town.cluster.address())];
        let names = names.each_ref().map(|(name, to)| (*name, to.as_str()));
        let corporate = Corporate::start(speaks, &web, Some("me:p@ss:w"), &names).await;
        let mut settings = settings_for(&town, "teleport.test:3025", &web);
        settings.teleport.proxy = Some(proxy_settings(kind, &corporate, Some(("me", "p@ss:w"))));
        town.start_daemon_on(settings).await;
        let road = format!("teleport.test:3025 directly, through the proxy {}", scheme(kind));
        town.daemon().says(&road).await;
        delivers(&town).await;
        let asked = match kind {
            ProxyKind::Http | ProxyKind::Https => "CONNECT teleport.test:3025 HTTP/1.1 me:p@ss:w",
            ProxyKind::Socks5 => "SOCKS5 teleport.test:3025 me:p@ss:w",
        };
        assert_eq!(corporate.asked(), [asked]);
        assert!(!town.daemon().log().contains("p@ss"), "{}", town.daemon().log());
        town.finish().await;
    }
}

fn scheme(kind: ProxyKind) -> &'static str {
    match kind {
        ProxyKind::Http => "http://127.0.0.1:",
        ProxyKind::Https => "https://127.0.0.1:",
        ProxyKind::Socks5 => "socks5://127.0.0.1:",
    }
}

#[tokio::test]
async fn hp_1_a_load_balancer_beyond_a_proxy() {
    let mut town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let balancer = Balancer::start(&proxy, &web, Alpn::Both, PATIENT).await;
    let corporate = Corporate::start(
        Speaks::Connect,
        &web,
        None,
        &[("teleport.test:443", balancer.address())],
    )
    .await;
    let mut settings = settings_for(&town, "teleport.test:443", &web);
    settings.teleport.proxy = Some(proxy_settings(ProxyKind::Http, &corporate, None));
    town.start_daemon_on(settings).await;
    town.daemon()
        .says("teleport.test:443 in a WebSocket, through the proxy http://")
        .await;
    delivers(&town).await;
    // Plainly, then the test, then the WebSocket.
    assert_eq!(corporate.asked(), ["CONNECT teleport.test:443 HTTP/1.1 -"; 3]);
    town.finish().await;
}

#[tokio::test]
async fn hp_2_a_proxy_that_refuses_is_told() {
    let town = Town::build().await;
    let web = WebAuthority::new();
    let corporate = Corporate::start(Speaks::Connect, &web, Some("me:hush"), &[]).await;
    let mut settings = settings_for(&town, "teleport.test:443", &web);
    let proxy = |kind, login| Some(proxy_settings(kind, &corporate, login));
    let about = "does not connect us to teleport.test:443";
    settings.teleport.proxy = proxy(ProxyKind::Http, None);
    fails(
        &town,
        settings.clone(),
        &[about, "it wants a name and a password", "407"],
        "HTTPS_PROXY",
    )
    .await;
    settings.teleport.proxy = proxy(ProxyKind::Http, Some(("me", "wrong")));
    fails(
        &town,
        settings.clone(),
        &[about, "it refuses the name and the password"],
        "HTTPS_PROXY",
    )
    .await;
    settings.teleport.proxy = proxy(ProxyKind::Http, Some(("me", "hush")));
    fails(&town, settings.clone(), &[about, "it answered 502"], "NO_PROXY").await;
    settings.teleport.proxy = proxy(ProxyKind::Https, None);
    fails(&town, settings.clone(), &[about], "HTTPS_PROXY").await;
    settings.teleport.proxy = proxy(ProxyKind::Socks5, None);
    fails(&town, settings.clone(), &[about], "HTTPS_PROXY").await;

    let socks = Corporate::start(Speaks::Socks5, &web, None, &[]).await;
    settings.teleport.proxy = Some(proxy_settings(ProxyKind::Socks5, &socks, None));
    fails(&town, settings.clone(), &[about], "NO_PROXY").await;
    if let Some(proxy) = &mut settings.teleport.proxy {
        proxy.address.port = 1;
    }
    fails(
        &town,
        settings,
        &["the proxy socks5://127.0.0.1:1 cannot be reached"],
        "HTTPS_PROXY",
    )
    .await;
}

#[tokio::test]
async fn an_ssh_port_leads_to_the_web_port_beside_it_or_to_a_sentence_that_names_it() {
    let mut town = Town::build().await;
    let web = WebAuthority::new();
    let ssh = ssh_port::start().await;
    fails(
        &town,
        settings_for(&town, &ssh, &web),
        &[&format!("{ssh} is an SSH port of a Proxy")],
        "host:443 or host:3080",
    )
    .await;

    let proxy = Proxy::start(&town.cluster).await;
    let names = [
        ("teleport.test:3024", ssh.as_str()),
        ("teleport.test:3080", proxy.address()),
    ];
    let corporate = Corporate::start(Speaks::Connect, &web, None, &names).await;
    let mut settings = settings_for(&town, "teleport.test:3024", &web);
    settings.teleport.proxy = Some(proxy_settings(ProxyKind::Http, &corporate, None));
    town.start_daemon_on(settings).await;
    town.daemon()
        .says("teleport.test:3080 directly, through the proxy")
        .await;
    delivers(&town).await;
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
async fn er_1_where_no_road_leads_each_that_was_tried_is_told() {
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
                "{address} in a WebSocket: {address} does not carry the connection in a WebSocket: it answered 502 Bad \
                 Gateway"
            ),
        ]
    );
}

#[tokio::test]
async fn the_watch_survives_a_road_that_disappears_and_takes_another() {
    let mut town = Town::build().await;
    let web = WebAuthority::new();
    let proxy = Proxy::start(&town.cluster).await;
    let balancer = Balancer::start(&proxy, &web, Alpn::Both, PATIENT).await;
    let names = crate::world::corporate::Names::new(&[("teleport.test:443", proxy.address())]);
    let corporate = Corporate::start_with(Speaks::Connect, &web, None, names.clone()).await;
    let mut settings = settings_for(&town, "teleport.test:443", &web);
    settings.teleport.proxy = Some(proxy_settings(ProxyKind::Http, &corporate, None));
    town.start_daemon_on(settings).await;

    let mut words = Vec::new();
    for (address, road) in [
        (
            balancer.address(),
            "Watcher connected road=teleport.test:443 in a WebSocket",
        ),
        (proxy.address(), "Watcher connected road=teleport.test:443 directly"),
    ] {
        names.set("teleport.test:443", address);
        town.cluster.stop().await;
        town.cluster.start_again().await;
        town.daemon().says(road).await;
        town.cluster.create(Draft {
            roles: vec!["dev".to_owned()],
            ..Draft::default()
        });
        words.push("PENDING");
        town.sees(ALICE, &words).await;
    }
    town.finish().await;
}
