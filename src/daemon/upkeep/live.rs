//! What may change while the daemon runs.
//!
//! Architecture Invariant: whoever wants to know takes the whole at once and lets go of it soon; nobody holds a lock, and
//! nobody sees half of a change.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock;
use crate::config::{AppSecret, Settings};
use crate::domain::recipients::RoutingTable;

/// The part of the settings that is in force until the configuration is read again.
#[derive(Debug)]
pub(in crate::daemon) struct InForce {
    pub(in crate::daemon) routing: RoutingTable,
    pub(in crate::daemon) app_secret: AppSecret,
    /// When it was read.
    pub(in crate::daemon) since: Timestamp,
}

#[derive(Debug)]
pub(in crate::daemon) struct Live(watch::Sender<Arc<InForce>>);

impl Live {
    pub(in crate::daemon) fn new(settings: &Settings) -> Self {
        Self(watch::Sender::new(Arc::new(InForce::of(settings))))
    }

    pub(in crate::daemon) fn current(&self) -> Arc<InForce> {
        Arc::clone(&self.0.borrow())
    }

    /// Sees every change from now on.
    pub(in crate::daemon) fn subscribe(&self) -> watch::Receiver<Arc<InForce>> {
        self.0.subscribe()
    }

    pub(in crate::daemon) fn replace(&self, settings: &Settings) {
        self.0.send_replace(Arc::new(InForce::of(settings)));
    }
}

impl InForce {
    fn of(settings: &Settings) -> Self {
        Self {
            routing: settings.routing.clone(),
            app_secret: settings.microsoft.app_secret.clone(),
            since: clock::now(),
        }
    }
}
