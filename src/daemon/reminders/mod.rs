//! Reminders: messages to people about requests, besides the cards, and about Access Lists.
//!
//! Architecture Invariant: "sent" is recorded by compare-and-swap before a message goes out, so each is sent at most once. No
//! record of cards is written here, and no claim is held.

mod access_lists;
mod agenda;
mod owners;
mod schedule;
mod sending;
mod service;

use std::sync::Arc;

use crate::daemon::context::Context;
use crate::daemon::requests::Lanes;
use crate::daemon::tasks::Tasks;
use crate::telemetry::Health;

pub(super) use agenda::Agenda;
pub(super) use schedule::schedule;

/// Starts the services.
pub(super) fn start(context: &Arc<Context>, lanes: &Lanes, tasks: &Tasks, health: &Health) {
    let heartbeat = health.register("reminders");
    let service = service::run(Arc::clone(context), lanes.clone(), tasks.clone(), heartbeat);
    tasks.service("reminders", service);
    let owners = access_lists::run(Arc::clone(context), health.register("access-lists"));
    // A shutdown waits for reminders that are recorded as sent.
    tasks.must_finish("access-lists", owners);
}
