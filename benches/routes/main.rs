//! Measures how long each route to the cluster takes to open with 50 ms of latency, until the response to a first call.
//!
//! `cargo bench --bench routes` prints a table. It asserts nothing.

#![expect(clippy::print_stdout, reason = "the table goes to the terminal")]

mod far;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use teleport_msteams::config::{
    Credentials, HostPort, Limits, Proxy as OnTheWay, ProxyKind, TeleportSettings, Upgrade,
};
use teleport_msteams::teleport::Client;

use world::balancer::{Alpn, Balancer};
use world::cluster::{Cluster, ClusterOptions};
use world::corporate::{Corporate, Names, Speaks};
use world::identity::Validity;
use world::proxy::Proxy;
use world::web::WebAuthority;

/// The round-trip time to the server that the daemon dials.
const ROUND_TRIP: Duration = Duration::from_millis(50);

const PATIENT: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("{:<58} {:>9}   round trips", "route", "measured");
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let authority = cluster.authority();
    let user = authority.user("bench", &[], Validity::ONE_DAY);
    let identity = folder.path().join("identity");
    std::fs::write(&identity, authority.identity_file(&user))?;
    let web = WebAuthority::new();
    let authorities = folder.path().join("web.pem");
    std::fs::write(&authorities, web.pem())?;
    let proxy = Proxy::start(&cluster).await;
    let ignoring = Balancer::start(&proxy, &web, Alpn::Ignored, PATIENT).await;
    let strict = Balancer::start(&proxy, &web, Alpn::Http11, PATIENT).await;
    let names = Names::new(&[("teleport.test:443", proxy.address())]);
    let http = Corporate::start_with(Speaks::Connect, &web, None, names.clone()).await;
    let socks = Corporate::start_with(Speaks::Socks5, &web, None, names).await;

    let settings = |address: &str| settings(address, &identity, &authorities);
    let auth = settings(&far::relay(cluster.address(), ROUND_TRIP).await);
    measure("the Auth Service itself", &auth, "TCP, TLS, call").await?;
    let through = settings(&far::relay(proxy.address().to_owned(), ROUND_TRIP).await);
    measure("a Proxy", &through, "TCP, TLS, call").await?;
    for (name, balancer) in [("ignores ALPN", &ignoring), ("is strict about ALPN", &strict)] {
        let mut before = settings(&far::relay(balancer.address().to_owned(), ROUND_TRIP).await);
        let route = format!("a load balancer that {name}");
        measure(&route, &before, "those and: TCP, TLS; TCP, TLS of the test if need be").await?;
        before.upgrade = Upgrade::Always;
        let route = format!("{route}, known before");
        measure(&route, &before, "TCP, TLS, WebSocket, TLS, call").await?;
    }
    for (kind, corporate) in [(ProxyKind::Http, &http), (ProxyKind::Socks5, &socks)] {
        let mut beyond = settings("teleport.test:443");
        beyond.proxy = Some(OnTheWay {
            kind,
            address: host_and_port(&far::relay(corporate.address().to_owned(), ROUND_TRIP).await),
            login: None,
        });
        let (route, trips) = match kind {
            ProxyKind::Socks5 => ("a SOCKS5 proxy", "TCP, SOCKS, SOCKS, TLS, call"),
            ProxyKind::Http | ProxyKind::Https => ("an HTTP proxy", "TCP, CONNECT, TLS, call"),
        };
        measure(route, &beyond, trips).await?;
    }
    Ok(())
}

/// Opens the route five times and prints the median.
async fn measure(route: &str, settings: &TeleportSettings, trips: &str) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let client = Client::new(settings, &Limits::default()).await?;
        let begun = Instant::now();
        client.ping().await?;
        times.push(begun.elapsed());
    }
    times.sort();
    let median = times[2].as_secs_f64();
    let counted = median / ROUND_TRIP.as_secs_f64();
    println!("{route:<58} {median:>7.3} s   {counted:.1}: {trips}");
    Ok(())
}

fn settings(address: &str, identity: &std::path::Path, authorities: &std::path::Path) -> TeleportSettings {
    TeleportSettings {
        address: host_and_port(address),
        credentials: Credentials::Identity(identity.to_owned()),
        refresh: None,
        upgrade: Upgrade::Test,
        proxy: None,
        web_authorities: Some(PathBuf::from(authorities)),
    }
}

fn host_and_port(address: &str) -> HostPort {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "443"));
    HostPort {
        host: host.to_owned(),
        port: port.parse().unwrap_or(443),
    }
}
