//! Routes to the Auth Service, and the errors that describe a failed one.

use std::fmt;
use std::time::Duration;

use crate::config::HostPort;
use crate::teleport::identity::IdentityError;

/// One route to the Auth Service. `Display` is for log lines: `teleport.example.com:443 in a WebSocket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub(super) address: HostPort,
    pub(super) in_websocket: bool,
    /// The proxy on the route, without its password.
    pub(super) via: Option<String>,
}

/// A route that was tried, and why it failed.
#[derive(Clone, Debug)]
pub(in crate::teleport) struct Attempt {
    pub(super) route: Route,
    pub(super) failure: Failure,
}

/// Why a route failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// A whole sentence that names the address.
    pub(super) sentence: String,
    pub(super) hint: &'static str,
    pub(super) next: Next,
}

/// What to try after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The peer ends TLS and does not know our protocol: use a WebSocket.
    Upgrade,
    /// A load balancer may have ended TLS: test for one.
    Test,
    /// The peer does not speak TLS, or not with us: test for a load balancer, then for SSH.
    TestAndAskForSsh,
    /// Another route would fail in the same way: report the failure.
    Report,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::teleport) enum ConnectError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Routes(RoutesClosed),
}

/// Every route was tried and failed.
#[derive(Debug)]
pub(in crate::teleport) struct RoutesClosed {
    pub(super) address: HostPort,
    /// Never empty.
    pub(super) attempts: Vec<Attempt>,
}

impl Failure {
    pub(super) fn new(sentence: String, hint: &'static str, next: Next) -> Self {
        Self { sentence, hint, next }
    }

    pub(super) fn late(doing: &str, patience: Duration) -> Self {
        let hint = hint!("Check the firewalls, load balancers and proxies on the path");
        Self::new(format!("{doing}: no answer within {patience:?}"), hint, Next::Report)
    }
}

impl ConnectError {
    /// Returns whether only new credential files would help.
    pub(in crate::teleport) fn is_credentials(&self) -> bool {
        matches!(self, Self::Identity(_))
    }

    pub(in crate::teleport) fn hint(&self) -> Option<String> {
        let mut hints = match self {
            Self::Identity(error) => vec![error.hint()],
            Self::Routes(closed) => closed.attempts.iter().map(|attempt| attempt.failure.hint).collect(),
        };
        hints.retain(|hint| !hint.is_empty());
        hints.dedup();
        (!hints.is_empty()).then(|| hints.join(". Or: "))
    }

    /// Returns one line for each route that was tried, if there was more than one.
    pub(in crate::teleport) fn tried(&self) -> Vec<String> {
        match self {
            Self::Routes(closed) if closed.attempts.len() > 1 => closed
                .attempts
                .iter()
                .map(|attempt| format!("{}: {}", attempt.route, attempt.failure.sentence))
                .collect(),
            Self::Identity(_) | Self::Routes(_) => Vec::new(),
        }
    }
}

impl fmt::Display for RoutesClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts.as_slice() {
            [only] => f.write_str(&only.failure.sentence),
            _ => write!(f, "could not connect to the cluster at {} by any route", self.address),
        }
    }
}

impl std::error::Error for RoutesClosed {}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            in_websocket,
            via,
        } = self;
        let how = if *in_websocket { "in a WebSocket" } else { "directly" };
        write!(f, "{address} {how}")?;
        match via {
            Some(via) => write!(f, ", through the proxy {via}"),
            None => Ok(()),
        }
    }
}
