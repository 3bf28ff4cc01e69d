//! Which way leads to the Auth Service: tried in order, remembered, and questioned again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::config::{HostPort, TeleportSettings, Upgrade};
use crate::teleport::connect::dial::Dialer;
use crate::teleport::connect::handshake::handshake;
use crate::teleport::connect::route::{Attempt, ConnectError, Failure, Next, Route, RoutesClosed};
use crate::teleport::connect::stream::BoxStream;
use crate::teleport::connect::upgrade;
use crate::teleport::connect::upgrade::Standing;
use crate::teleport::connect::web_tls::WebTls;
use crate::teleport::identity::Identity;

/// After so many failures in a row the remembered way is given up.
const TRUST: u32 = 3;

/// Where a Proxy's web port usually is, for those who name its SSH port.
const WEB_PORTS: [u16; 2] = [443, 3_080];

/// A server that takes its time is not asked for longer: the answer only makes an error clearer.
const SSH_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

const SSH_PORT: &str = hint!("Set `[teleport] addr` to the web address of the Proxy, such as host:443 or host:3080");

/// Every way to one cluster; clones share what they remember.
#[derive(Clone, Debug)]
pub(in crate::teleport) struct Routes {
    address: HostPort,
    upgrade: Upgrade,
    dialer: Dialer,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The way that worked last, if it is not the first that would be tried anyway.
    detour: Option<Route>,
    failures: u32,
}

/// A session, and the way it takes.
pub(super) type Connected = (Route, TlsStream<BoxStream>);

/// What is known of an address to which no way leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unconnected {
    /// The server may speak SSH.
    MaybeSsh,
    /// No other port of the host is worth an attempt.
    NotSsh,
}

impl Routes {
    pub(in crate::teleport) fn new(settings: &TeleportSettings, patience: Duration) -> Self {
        Self {
            address: settings.address.clone(),
            upgrade: settings.upgrade,
            dialer: Dialer {
                proxy: settings.proxy.clone(),
                web: WebTls::new(settings.web_authorities.clone()),
                patience,
            },
            memory: Arc::default(),
        }
    }

    /// Connects on the way that worked last, or on the first that works.
    pub(super) async fn connect(&self, identity: &Identity) -> Result<Connected, ConnectError> {
        let detour = self.memory().detour.clone();
        let mut attempts = Vec::new();
        let trying = async {
            match detour {
                Some(route) => self.take(route, identity, &mut attempts).await.ok(),
                None => self.search(identity, &mut attempts).await,
            }
        };
        // All ways together take less than one call, or nobody would hear of them.
        let patience = self.dialer.patience * 5 / 2;
        let connected = timeout(patience, trying).await;
        if connected.is_err() {
            let route = self.route(&self.address, false);
            let failure = Failure::late(&format!("connecting to {}", self.address), patience);
            attempts.push(Attempt { route, failure });
        }
        let connected = connected.ok().flatten();
        let mut memory = self.memory();
        if let Some((route, stream)) = connected {
            let is_first = route == self.route(&self.address, false);
            memory.detour = Some(route.clone()).filter(|_| !is_first);
            memory.failures = 0;
            return Ok((route, stream));
        }
        memory.failures += 1;
        if memory.failures >= TRUST {
            *memory = Memory::default();
        }
        let address = self.address.clone();
        Err(ConnectError::Routes(RoutesClosed { address, attempts }))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, address: &HostPort, in_websocket: bool) -> Route {
        Route {
            address: address.clone(),
            in_websocket,
            via: self.dialer.proxy.as_ref().map(ToString::to_string),
        }
    }

    async fn search(&self, identity: &Identity, attempts: &mut Vec<Attempt>) -> Option<Connected> {
        match self.search_at(&self.address, identity, attempts).await {
            Ok(connected) => return Some(connected),
            Err(Unconnected::MaybeSsh) if self.speaks_ssh().await => {}
            Err(Unconnected::MaybeSsh | Unconnected::NotSsh) => return None,
        }
        if let Some(last) = attempts.last_mut() {
            let sentence = format!(
                "{} is an SSH port of a Proxy, which this program does not support",
                self.address
            );
            last.failure = Failure::new(sentence, SSH_PORT, Next::Report);
        }
        for port in WEB_PORTS.into_iter().filter(|port| *port != self.address.port) {
            let host = self.address.host.clone();
            let web = HostPort { host, port };
            if let Ok(connected) = self.search_at(&web, identity, attempts).await {
                return Some(connected);
            }
        }
        // The hint is the same for every failed guess.
        for guess in attempts {
            guess.failure.hint = SSH_PORT;
        }
        None
    }

    /// Tries one address plainly, and then through the load balancer that may stand there.
    async fn search_at(
        &self,
        address: &HostPort,
        identity: &Identity,
        attempts: &mut Vec<Attempt>,
    ) -> Result<Connected, Unconnected> {
        let in_websocket = self.route(address, true);
        let not_ssh = |_| Unconnected::NotSsh;
        if self.upgrade == Upgrade::Always {
            return self.take(in_websocket, identity, attempts).await.map_err(not_ssh);
        }
        let next = match self.take(self.route(address, false), identity, attempts).await {
            Ok(connected) => return Ok(connected),
            Err(next) => next,
        };
        let standing = match next {
            _ if self.upgrade == Upgrade::Never => Standing::Unknown,
            Next::Upgrade => Standing::Balancer,
            Next::Test | Next::TestAndAskForSsh => upgrade::stands_at(address, &self.dialer).await,
            Next::Report => Standing::Unknown,
        };
        match standing {
            Standing::Balancer => self.take(in_websocket, identity, attempts).await.map_err(not_ssh),
            Standing::Unknown if next == Next::TestAndAskForSsh => Err(Unconnected::MaybeSsh),
            Standing::Proxy | Standing::Unknown => Err(Unconnected::NotSsh),
        }
    }

    async fn take(&self, route: Route, identity: &Identity, attempts: &mut Vec<Attempt>) -> Result<Connected, Next> {
        let address = &route.address;
        let connected = async {
            let stream = if route.in_websocket {
                upgrade::open(address, &self.dialer).await?
            } else {
                self.dialer.dial(address).await?
            };
            handshake(identity, stream, address, self.dialer.patience).await
        };
        match connected.await {
            Ok(stream) => Ok((route, stream)),
            Err(failure) => {
                let next = failure.next;
                attempts.push(Attempt { route, failure });
                Err(next)
            }
        }
    }

    /// Greets as an SSH client does, and listens for the answer; some servers wait for the greeting.
    async fn speaks_ssh(&self) -> bool {
        let greeting = concat!("SSH-2.0-teleport-msteams_", env!("CARGO_PKG_VERSION"), "\r\n");
        let asked = async {
            let mut stream = self.dialer.dial(&self.address).await.ok()?;
            stream.write_all(greeting.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.ok()?;
            Some(&answer == b"SSH-")
        };
        matches!(timeout(SSH_ANSWERS_WITHIN, asked).await, Ok(Some(true)))
    }
}
