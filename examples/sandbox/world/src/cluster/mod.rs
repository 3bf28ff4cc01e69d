//! A pretend Teleport Auth Service: real gRPC over mutual TLS, with one shared state.

mod access_lists;
mod access_requests;
mod codec;
mod frames;
mod gateway;
mod handle;
mod listener;
mod reviews;
mod rules;
mod service;
mod state;
mod users;

pub use access_lists::ListDraft;
pub use access_requests::{Draft, State, Verdict};
pub use codec::{CUT_SHORT, Codec, NOT_UTF8, WRONG_TYPE};
pub use handle::{Cluster, ClusterOptions};
pub use listener::Hello;
pub use rules::{Lists, rule};
pub use state::{ClusterFaults, ClusterState, Held, Moment, PluginData, Write};
