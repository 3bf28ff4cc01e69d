//! The road to the Auth Service: from settings to one encrypted byte stream.
//!
//! Architecture Invariant: the only place that decides how to dial. Every way wraps the byte stream under the same TLS
//! session and changes nothing else; what is above sees a connection, and may ask for the name of its road.

mod connector;
mod dial;
mod handshake;
mod http_upgrade;
mod road;
mod roads;
mod stream;
mod tls;
mod upgrade;
mod web_tls;
mod websocket;

pub(super) use connector::Connector;
pub(super) use road::ConnectError;
pub use road::Road;
pub(super) use roads::Roads;
