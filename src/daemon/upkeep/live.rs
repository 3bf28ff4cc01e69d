//! The settings that can change while the daemon runs.
//!
//! Architecture Invariant: a reader takes a whole snapshot and drops it soon. No reader holds a lock or sees half of a
//! change.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock;
use crate::config::{DigestSettings, EscalationSettings, NotifySettings, ReviewSettings, Settings};
use crate::domain::lifecycle::Tables;
use crate::domain::recipients::{GroupMembers, RoutingTable, SuggestedReviewers};

/// The reloadable settings.
#[derive(Debug)]
pub(in crate::daemon) struct InForce {
    pub(in crate::daemon) routing: RoutingTable,
    pub(in crate::daemon) notify: NotifySettings,
    pub(in crate::daemon) escalation: Option<EscalationSettings>,
    pub(in crate::daemon) digest: Option<DigestSettings>,
    pub(in crate::daemon) review: ReviewSettings,
    /// When they were read.
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

    /// Returns a receiver of every later change.
    pub(in crate::daemon) fn subscribe(&self) -> watch::Receiver<Arc<InForce>> {
        self.0.subscribe()
    }

    pub(in crate::daemon) fn replace(&self, settings: &Settings) {
        self.0.send_replace(Arc::new(InForce::of(settings)));
    }
}

impl InForce {
    /// Returns where recipients are configured.
    pub(in crate::daemon) fn tables<'a>(
        &'a self,
        suggested: &'a SuggestedReviewers,
        groups: &'a GroupMembers,
    ) -> Tables<'a> {
        let escalation = self.escalation.as_ref();
        Tables {
            routing: &self.routing,
            escalation: escalation.map(|settings| (settings.after, &settings.routing)),
            suggested,
            groups,
        }
    }

    fn of(settings: &Settings) -> Self {
        Self {
            routing: settings.routing.clone(),
            notify: settings.notify.clone(),
            escalation: settings.escalation.clone(),
            digest: settings.digest,
            review: settings.review.clone(),
            since: clock::now(),
        }
    }
}
