//! `teleport-msteams` shows Teleport Access Requests in Microsoft Teams and keeps every card true.
#![doc = include_str!("../ARCHITECTURE.md")]

pub mod backoff;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod heartbeat;
pub mod msteams;
pub mod nearest;
pub mod secret;
pub mod telemetry;
pub mod teleport;
pub mod visible;
