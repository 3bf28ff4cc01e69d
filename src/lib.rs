//! `teleport-msteams` posts Teleport Access Requests to Microsoft Teams and keeps every card up to date.
#![doc = include_str!("../ARCHITECTURE.md")]
// Futures of a lane contain those of every call, and the compiler checks `Send` through all of them.
#![recursion_limit = "256"]

#[macro_use]
mod hint;
#[macro_use]
mod level;

pub mod backoff;
pub mod blocking;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod heartbeat;
pub mod listener;
pub mod msteams;
pub mod nearest;
pub mod secret;
pub mod telemetry;
pub mod teleport;
pub mod visible;
