//! The settings that the rest of the program uses.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use crate::config::{AppCredential, DigestSettings, EscalationSettings, NotifySettings, Proxies, ReviewSettings};
use crate::domain::recipients::{Address, RoutingTable};
use crate::secret::Secret;

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Look up every configured recipient in the background after the start.
    pub preload: bool,
    /// The listen address of the health checks and metrics.
    pub diagnostics: Option<HostPort>,
    pub teleport: TeleportSettings,
    pub microsoft: MicrosoftSettings,
    pub routing: RoutingTable,
    pub notify: NotifySettings,
    pub escalation: Option<EscalationSettings>,
    pub digest: Option<DigestSettings>,
    pub review: ReviewSettings,
    pub log: LogSettings,
    /// Exit instead of reconnecting when the event stream breaks.
    pub fail_fast: bool,
    pub limits: Limits,
}

impl Settings {
    /// Returns every recipient of the configuration, each once: those of the table, and then those of escalations.
    pub fn recipients(&self) -> Vec<Address> {
        let mut addresses = self.routing.addresses();
        let further = self
            .escalation
            .iter()
            .flat_map(|escalation| escalation.routing.addresses());
        for address in further {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// The cluster's address and the daemon's credentials.
#[derive(Clone, Debug)]
pub struct TeleportSettings {
    /// The Auth Service, the Proxy Service, or a load balancer in front of it.
    pub address: HostPort,
    pub credentials: Credentials,
    /// How often the files are checked, in addition to file system events; `None` reads them only at the start.
    pub refresh: Option<Duration>,
    pub upgrade: Upgrade,
    pub proxy: Option<Proxy>,
    /// A file with the certificate authorities of load balancers and proxies; `None` for the system's.
    pub web_authorities: Option<PathBuf>,
}

/// A host by name or address, and a port. `Display` writes `host:port`, with brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// Whether connections use a WebSocket, which a load balancer that terminates TLS requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// Test whether a direct connection fails.
    Test,
    Always,
    Never,
}

/// A proxy server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub kind: ProxyKind,
    pub address: HostPort,
    pub login: Option<Login>,
}

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP CONNECT.
    Http,
    /// HTTP CONNECT inside TLS.
    Https,
    Socks5,
}

/// The credentials for a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}

/// The files with the daemon's credentials for Teleport.
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
    pub credential: AppCredential,
    pub tenant_id: String,
    /// The ID in the Teams app's manifest, which the catalog calls `externalId`.
    pub teams_app_id: String,
    pub endpoints: Endpoints,
    /// Upgrade installations of the app that are older than the catalog.
    pub upgrade_app: bool,
    pub proxies: Proxies,
}

/// The addresses of Microsoft's services, the scopes of their tokens, the issuer of the tokens that the Bot connector
/// sends, and the address of Teams itself.
///
/// The URLs may have a path, to which request paths are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The name of the cloud, as `[msapi] cloud` has it.
    pub cloud: &'static str,
    pub installations: GraphInstallations,
    pub login: Url,
    pub graph: Url,
    pub bot: Url,
    /// Its `/v1/.well-known/openidconfiguration` leads to the keys of the Bot connector.
    pub openid: Url,
    pub graph_scope: String,
    pub bot_scope: String,
    /// The exact text of the claim `iss`.
    pub issuer: String,
    /// Begins the links that open Teams, such as `https://teams.microsoft.com`.
    pub teams: String,
}

impl Endpoints {
    /// Describes what Graph of the cloud cannot do for this program; `None` if it can do everything.
    pub fn limits(&self) -> Option<&'static str> {
        match self.installations {
            GraphInstallations::All => None,
            GraphInstallations::OfTeams => Some(
                "Graph of this cloud cannot read them for people or install the app; people need it before the first card",
            ),
            GraphInstallations::None => Some(
                "Graph of this cloud cannot read them or install the app; people and teams need it before the first card",
            ),
        }
    }
}

/// Which installations of the app Graph can read and change in a cloud, with application permissions.
///
/// Source: `concepts/teamwork-national-cloud-differences.md` in microsoft-graph-docs-contrib.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphInstallations {
    /// Those for people and in teams.
    All,
    /// Those in teams only.
    OfTeams,
    None,
}

impl GraphInstallations {
    /// Returns whether Graph can read, install and uninstall the app for people.
    pub fn of_people(self) -> bool {
        self == Self::All
    }

    /// Returns whether Graph can read which teams have the app.
    pub fn of_teams(self) -> bool {
        self != Self::None
    }
}

/// The destination, severity and format of the log.
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
    /// How long a claim is valid after Teleport accepted it or its last renewal.
    pub claim_term: Duration,
    /// How long another replica's claim is respected without a renewal. The difference to `claim_term` covers late answers
    /// of Teleport.
    pub claim_stale: Duration,
    /// A request without progress for this long yields its turn.
    pub standing_still: Duration,
    /// A delivery that takes longer lets the next one of its request start.
    pub slow_delivery: Duration,
    /// The pause before a failed delivery is retried; it doubles up to `again_longest_pause`.
    pub again_first_pause: Duration,
    pub again_longest_pause: Duration,
    /// The longest pause of a delivery that failed because of an outage of a service.
    pub outage_pause: Duration,
    /// The pause before a refused delivery is retried; it doubles up to `refused_longest_pause`.
    pub refused_first_pause: Duration,
    pub refused_longest_pause: Duration,
    /// How long a channel is remembered by its name, which can change.
    pub channel_names_for: Duration,
    /// How often the file of the credential is checked.
    pub credential_every: Duration,
    /// The minimum time between two reloads; earlier signals cause one reload.
    pub reload_every: Duration,
    /// How often the daemon resyncs, in addition to after every connect.
    pub resync_every: Duration,
    /// The pause after a listing that failed; it doubles up to `teleport_longest_pause`.
    pub resync_first_pause: Duration,
    /// How long a request with open cards must be absent from lists until it counts as over.
    pub absent_for: Duration,
    /// How often the members of groups are read.
    pub groups_every: Duration,
    /// How long after the start requests wait for the rules, if those cannot be listed.
    pub rules_wait: Duration,
    /// How long a card waits for names and people that it would show. A card without them is better than a late card.
    pub look_up_patience: Duration,
    /// How long the search for delegates of one request may take, more than `microsoft_timeout`. No card waits for it.
    pub presence_patience: Duration,
    /// The shortest time between a fetch of Microsoft's keys and another one for a token that names an unknown key. Anyone can
    /// send such tokens.
    pub unknown_key_every: Duration,
    /// How long after the start, or after `[notify] access_lists` is turned on, the reviews of Access Lists are first checked.
    pub access_lists_first: Duration,
    /// The time between two checks of the reviews of Access Lists.
    pub access_lists_every: Duration,
    /// How long a card counts towards the number above which requests of a conversation share one.
    pub digest_within: Duration,
    /// How long deliveries in flight may take after the first signal to stop.
    pub drain: Duration,
}

impl HostPort {
    /// Returns the host and port of a URL; `None` if it has no host.
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

/// Writes the proxy without its credentials.
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
            // Longer than a delivery is queued in a usual burst: three for each of 64 requests, 50 a second.
            standing_still: Duration::from_secs(5),
            slow_delivery: Duration::from_secs(2),
            again_first_pause: Duration::from_secs(5),
            again_longest_pause: Duration::from_mins(5),
            outage_pause: Duration::from_secs(15),
            refused_first_pause: Duration::from_mins(1),
            refused_longest_pause: Duration::from_hours(1),
            channel_names_for: Duration::from_mins(10),
            credential_every: Duration::from_secs(10),
            reload_every: Duration::from_secs(1),
            resync_every: Duration::from_mins(10),
            resync_first_pause: Duration::from_secs(1),
            absent_for: Duration::from_mins(5),
            groups_every: Duration::from_mins(10),
            rules_wait: Duration::from_secs(30),
            look_up_patience: Duration::from_secs(1),
            presence_patience: Duration::from_secs(30),
            unknown_key_every: Duration::from_mins(5),
            access_lists_first: Duration::from_secs(30),
            access_lists_every: Duration::from_hours(3),
            digest_within: Duration::from_mins(10),
            drain: Duration::from_secs(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_for_delegates_may_take_longer_than_one_call() {
        let limits = Limits::default();
        assert!(limits.presence_patience > limits.microsoft_timeout);
    }
}
