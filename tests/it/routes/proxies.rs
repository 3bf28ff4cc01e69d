//! Proxies of a company, and the SSH ports of one.

use teleport_msteams::config::ProxyKind;

use crate::routes::journey::{PATIENT, delivers, proxy_settings, settings_for};
use crate::support::{Town, fails};
use crate::world::balancer::{Alpn, Balancer};
use crate::world::corporate::{Corporate, Speaks};
use crate::world::proxy::Proxy;
use crate::world::ssh_port;
use crate::world::web::WebAuthority;

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
        let corporate = Corporate::start(speaks, &web, Some("me:p@ss:plantedsecret"), &names).await;
        let mut settings = settings_for(&town, "teleport.test:3025", &web);
        settings.teleport.proxy = Some(proxy_settings(kind, &corporate, Some(("me", "p@ss:plantedsecret"))));
        town.start_daemon_on(settings).await;
        let route = format!("teleport.test:3025 directly, through the proxy {}", scheme(kind));
        town.daemon().says(&route).await;
        delivers(&town).await;
        let asked = match kind {
            ProxyKind::Http | ProxyKind::Https => "CONNECT teleport.test:3025 HTTP/1.1 me:p@ss:plantedsecret",
            ProxyKind::Socks5 => "SOCKS5 teleport.test:3025 me:p@ss:plantedsecret",
        };
        assert_eq!(corporate.asked(), [asked]);
        assert!(!town.daemon().log().contains("p@ss"), "{}", town.daemon().log());
        town.finish().await;
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
    // First directly, then the test, then the WebSocket.
    assert_eq!(corporate.asked(), ["CONNECT teleport.test:443 HTTP/1.1 -"; 3]);
    town.finish().await;
}

#[tokio::test]
async fn hp_2_a_proxy_that_refuses_is_reported() {
    let town = Town::build().await;
    let web = WebAuthority::new();
    let corporate = Corporate::start(Speaks::Connect, &web, Some("me:plantedsecret"), &[]).await;
    let mut settings = settings_for(&town, "teleport.test:443", &web);
    let proxy = |kind, login| Some(proxy_settings(kind, &corporate, login));
    let about = "did not connect to teleport.test:443";
    settings.teleport.proxy = proxy(ProxyKind::Http, None);
    fails(
        &town,
        settings.clone(),
        &[about, "it requires a user name and a password", "407"],
        "HTTPS_PROXY",
    )
    .await;
    settings.teleport.proxy = proxy(ProxyKind::Http, Some(("me", "wrong")));
    fails(
        &town,
        settings.clone(),
        &[about, "it rejected the user name and password"],
        "HTTPS_PROXY",
    )
    .await;
    settings.teleport.proxy = proxy(ProxyKind::Http, Some(("me", "plantedsecret")));
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
        &["could not connect to the proxy socks5://127.0.0.1:1"],
        "HTTPS_PROXY",
    )
    .await;
}

#[tokio::test]
async fn an_ssh_port_is_replaced_by_the_web_port_or_reported_by_name() {
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

fn scheme(kind: ProxyKind) -> &'static str {
    match kind {
        ProxyKind::Http => "http://127.0.0.1:",
        ProxyKind::Https => "https://127.0.0.1:",
        ProxyKind::Socks5 => "socks5://127.0.0.1:",
    }
}
