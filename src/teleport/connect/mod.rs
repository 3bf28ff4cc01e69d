//! The route to the Auth Service: from settings to one encrypted byte stream.
//!
//! Architecture Invariant: the only place that decides how to dial. Every route wraps the byte stream under the same
//! TLS session and changes nothing else. The code above sees a connection, and may ask for the name of its route.

mod connector;
mod dial;
mod handshake;
mod http_upgrade;
mod route;
mod routes;
mod stream;
mod tls;
mod upgrade;
mod web_tls;
mod websocket;

pub(super) use connector::Connector;
pub(super) use handshake::REFUSED;
pub(super) use route::ConnectError;
pub use route::Route;
pub(super) use routes::Routes;
