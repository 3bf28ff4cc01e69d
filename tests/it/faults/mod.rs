//! One fault at a time: afterwards every reachable recipient has exactly one current card.
//!
//! Switches of the pretend servers cause the faults, never timing, and each test shows that its fault did
//! happen.

mod caller;
mod daemon;
mod microsoft;
mod process;
mod replicas;
mod teleport;
mod undecodable;
