//! One fault at a time: afterwards every reachable recipient has exactly one current card.
//!
//! Faults are brought about by switches of the pretend servers, never by timing, and each test shows that its fault did
//! happen.

mod caller;
mod daemon;
mod microsoft;
mod process;
mod replicas;
mod teleport;
mod undecodable;

use crate::world::cluster::Draft;

/// A request that goes to Alice alone.
fn for_alice() -> Draft {
    Draft {
        roles: vec!["dev".to_owned()],
        ..Draft::default()
    }
}
