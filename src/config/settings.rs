//! What the rest of the program may rely on.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use crate::config::Proxies;
use crate::domain::recipients::RoutingTable;
use crate::secret::Secret;

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Look up every configured recipient beside the start.
    pub preload: bool,
    /// Where machines ask after our health.
    pub diagnostics: Option<HostPort>,
    pub teleport: TeleportSettings,
    pub microsoft: MicrosoftSettings,
    pub routing: RoutingTable,
    pub log: LogSettings,
    /// End instead of reconnecting when the stream of events breaks.
    pub fail_fast: bool,
    pub limits: Limits,
}

/// Where the cluster is and who we are there.
#[derive(Clone, Debug)]
pub struct TeleportSettings {
    /// The Auth Service, the Proxy Service, or what stands before it.
    pub address: HostPort,
    pub credentials: Credentials,
    /// How often the files are looked at, beside when the system tells of a change; `None` reads them at the start alone.
    pub refresh: Option<Duration>,
    pub upgrade: Upgrade,
    pub proxy: Option<Proxy>,
    /// The authorities that vouch for load balancers and proxies on the way; the system's if there is no file.
    pub web_authorities: Option<PathBuf>,
}

/// A host by name or address, and a port. `Display` is `host:port`, with brackets where they belong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// Whether connections are carried in a WebSocket, as a load balancer that ends TLS makes necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// Find out where a plain connection fails.
    Test,
    Always,
    Never,
}

/// A server that connects us to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub kind: ProxyKind,
    pub address: HostPort,
    pub login: Option<Login>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP CONNECT.
    Http,
    /// HTTP CONNECT inside TLS.
    Https,
    Socks5,
}

/// Who we are to a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}

/// The files that prove who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// `tctl auth sign --format=file`, or what `tbot` writes.
    Identity(PathBuf),
    /// `tctl auth sign --format=tls`.
    Tls {
        key: PathBuf,
        certificate: PathBuf,
        authorities: PathBuf,
    },
}

/// The app in Microsoft's cloud.
#[derive(Clone, Debug)]
pub struct MicrosoftSettings {
    pub app_id: String,
    pub app_secret: AppSecret,
    pub tenant_id: String,
    /// The id in the Teams app's manifest, which the catalog calls `externalId`.
    pub teams_app_id: String,
    pub endpoints: Endpoints,
    pub proxies: Proxies,
}

/// The secret of the app, and the file that it was read from, where it may be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSecret {
    pub value: Secret,
    pub file: Option<PathBuf>,
    /// The configuration itself holds the secret.
    pub inline: bool,
}

/// Where Microsoft's services are, and what tokens for them are asked with.
///
/// The URLs may hold a path; requests are put behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub login: Url,
    pub graph: Url,
    pub bot: Url,
    pub graph_scope: String,
    pub bot_scope: String,
}

/// Where log lines go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub output: LogOutput,
    pub severity: tracing::Level,
    pub format: LogFormat,
    /// Levels of single parts, as in `teleport_msteams::msteams=trace,h2=debug`; they go before the severity.
    pub filters: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    Stderr,
    Stdout,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Bounds that are no part of the file; tests shorten them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// One attempt of one HTTP request to Microsoft, from first byte to last.
    pub microsoft_timeout: Duration,
    /// Attempts of one HTTP request, the first included.
    pub microsoft_attempts: u32,
    /// The pause after the first failed attempt; it doubles up to `microsoft_longest_pause`.
    pub microsoft_first_pause: Duration,
    /// Also the longest `Retry-After` that is waited for in place.
    pub microsoft_longest_pause: Duration,
    /// How long a freshly installed app may take until its chat can be found.
    pub chat_appears_within: Duration,
    /// Opening a connection to Teleport: each of its steps, such as TCP and TLS.
    pub teleport_dial_timeout: Duration,
    /// One call to Teleport.
    pub teleport_timeout: Duration,
    /// A start that Teleport has not answered for so long is logged, before the call fails.
    pub teleport_slow_start: Duration,
    /// A quiet connection is shown to be alive so often; servers hang up on who does it more than once a minute.
    pub teleport_ping_every: Duration,
    pub teleport_first_pause: Duration,
    pub teleport_longest_pause: Duration,
    /// How long a claim holds after Teleport has accepted it or its last renewal.
    pub claim_term: Duration,
    /// How long another replica's claim is respected without a renewal. The difference to `claim_term` covers calls to
    /// Teleport whose answer is late.
    pub claim_stale: Duration,
    /// A request none of whose deliveries moved for so long lets others have its turn.
    pub standing_still: Duration,
    /// A delivery that takes longer makes room for the next one of its request.
    pub slow_delivery: Duration,
    /// The pause before a failed delivery is planned again; it doubles up to `again_longest_pause`.
    pub again_first_pause: Duration,
    pub again_longest_pause: Duration,
    /// The longest pause of a delivery that failed because a whole service is out.
    pub outage_pause: Duration,
    /// The pause before a refused delivery is retried; it doubles up to `refused_longest_pause`.
    pub refused_first_pause: Duration,
    pub refused_longest_pause: Duration,
    /// How often the file of the app's secret is looked at.
    pub secret_look_every: Duration,
    /// The least time between two reloads; signals that come earlier are one reload.
    pub reload_every: Duration,
    /// How often everything is listed and compared, beside after every connect.
    pub resync_every: Duration,
    /// The pause after a listing that failed; it doubles up to `teleport_longest_pause`.
    pub resync_first_pause: Duration,
    /// How long a request with open cards has to be absent from lists until it counts as over.
    pub absent_for: Duration,
    /// How long after the start requests wait for the rules, if those cannot be listed.
    pub rules_wait: Duration,
    /// How long deliveries in flight may take after the first signal to stop.
    pub drain: Duration,
}

impl HostPort {
    /// Takes host and port out of a URL; `None` if it names no host.
    pub(super) fn of_url(url: &Url, default_port: u16) -> Option<Self> {
        let host = match url.host()? {
            Host::Domain("") => return None,
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port().unwrap_or(default_port);
        Some(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Without the name and the password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Https => "https",
            ProxyKind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            microsoft_timeout: Duration::from_secs(20),
            microsoft_attempts: 5,
            microsoft_first_pause: Duration::from_millis(500),
            microsoft_longest_pause: Duration::from_secs(30),
            chat_appears_within: Duration::from_secs(20),
            teleport_dial_timeout: Duration::from_secs(10),
            teleport_timeout: Duration::from_secs(30),
            teleport_slow_start: Duration::from_secs(10),
            teleport_ping_every: Duration::from_secs(75),
            teleport_first_pause: Duration::from_millis(200),
            teleport_longest_pause: Duration::from_secs(30),
            claim_term: Duration::from_secs(20),
            claim_stale: Duration::from_secs(40),
            // Longer than a delivery waits for its turn in a usual burst: three for each of 64 requests, 50 a second.
            standing_still: Duration::from_secs(5),
            slow_delivery: Duration::from_secs(2),
            again_first_pause: Duration::from_secs(5),
            again_longest_pause: Duration::from_mins(5),
            outage_pause: Duration::from_secs(15),
            refused_first_pause: Duration::from_mins(1),
            refused_longest_pause: Duration::from_hours(1),
            secret_look_every: Duration::from_secs(10),
            reload_every: Duration::from_secs(1),
            resync_every: Duration::from_mins(10),
            resync_first_pause: Duration::from_secs(1),
            absent_for: Duration::from_mins(5),
            rules_wait: Duration::from_secs(30),
            drain: Duration::from_secs(15),
        }
    }
}
