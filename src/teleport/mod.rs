//! Teleport: our identity, the route to the Auth Service, its events, requests and plugin data.
//!
//! Architecture Invariant: the only directory that names tonic or prost. Wire types stop in `convert`. Nothing here
//! knows Microsoft.

mod access_lists;
mod anything;
mod call;
mod caller;
mod client;
mod cluster;
mod connect;
mod convert;
mod damaged;
mod error;
mod identity;
mod lookups;
mod lossy;
mod pages;
mod plugin_data;
mod reviews;
mod rules;
mod thresholds;
mod users;
mod watch;
mod wire;

pub use anything::read_anything;
pub use client::{Client, Listed};
pub use cluster::Cluster;
pub use connect::Route;
pub use error::{Error, Meaning, shortened};
pub use identity::{Identity, IdentityEvent, Keyring};
pub use lookups::{ListedResources, NamedResource};
pub use plugin_data::{PluginData, PluginDataKey, PluginDataKind, Swap};
pub use reviews::rejection;
pub use watch::{Watch, WatchEvent};
