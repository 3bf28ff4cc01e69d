//! Finds the route to the Auth Service: tries routes in order, remembers the one that works, and drops it after
//! repeated failures.

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
use crate::teleport::connect::upgrade::Peer;
use crate::teleport::connect::web_tls::WebTls;
use crate::teleport::identity::Identity;

/// Number of consecutive failures after which the remembered route is dropped.
const MOST_FAILURES: u32 = 3;

/// Usual web ports of a Proxy, tried when the configured address is its SSH port.
const WEB_PORTS: [u16; 2] = [443, 3_080];

/// Timeout of the SSH test. It is short, because the answer only makes an error message clearer.
const SSH_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

const SSH_PORT: &str = hint!("Set `[teleport] addr` to the web address of the Proxy, such as host:443 or host:3080");

/// All routes to one cluster. Clones share the remembered route.
#[derive(Clone, Debug)]
pub(in crate::teleport) struct Routes {
    address: HostPort,
    upgrade: Upgrade,
    dialer: Dialer,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The route that worked last, unless it is the first that would be tried anyway.
    remembered: Option<Route>,
    failures: u32,
}

/// A session and its route.
pub(super) type Connected = (Route, TlsStream<BoxStream>);

/// What is known about an address that no route connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unconnected {
    /// The server may speak SSH.
    MaybeSsh,
    /// No other port of the host is worth trying.
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

    /// Connects by the route that worked last, or by the first that works.
    pub(super) async fn connect(&self, identity: &Identity) -> Result<Connected, ConnectError> {
        let remembered = self.memory().remembered.clone();
        let mut attempts = Vec::new();
        let trying = async {
            match remembered {
                Some(route) => self.take(route, identity, &mut attempts).await.ok(),
                None => self.search(identity, &mut attempts).await,
            }
        };
        // All routes together must take less time than one call, otherwise the call's timeout would hide why they
        // failed.
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
            memory.remembered = Some(route.clone()).filter(|_| !is_first);
            memory.failures = 0;
            return Ok((route, stream));
        }
        memory.failures += 1;
        if memory.failures >= MOST_FAILURES {
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

    /// Tries one address directly, and then through the load balancer that may be in front of it.
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
        let peer = match next {
            _ if self.upgrade == Upgrade::Never => Peer::Unknown,
            Next::Upgrade => Peer::Balancer,
            Next::Test | Next::TestAndAskForSsh => upgrade::detect_peer(address, &self.dialer).await,
            Next::Report => Peer::Unknown,
        };
        match peer {
            Peer::Balancer => self.take(in_websocket, identity, attempts).await.map_err(not_ssh),
            Peer::Unknown if next == Next::TestAndAskForSsh => Err(Unconnected::MaybeSsh),
            Peer::Proxy | Peer::Unknown => Err(Unconnected::NotSsh),
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

    /// Sends the greeting of an SSH client and reads the answer, because some servers wait for the greeting.
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
